"""Two hosts, one spool on GlusterFS, for the usual run: hearts beat four times as fast, and little mail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gluster import why_no_gluster
from process import end_with_parent
from sealed import NOT_HERE

HERE = Path(__file__).parent


#  As for the tests of endtoend: real daemons on a machine that does other things, too.
@pytest.mark.flaky(reruns=1)
@pytest.mark.timeout(600)
def test_both_receive_and_deliver_and_one_takes_over_from_the_other(tmp_path: Path) -> None:
    if reason := why_no_gluster(tmp_path):
        pytest.skip(reason)
    done = subprocess.run(
        [
            sys.executable, str(HERE / "sealed.py"), str(HERE / "two_hosts_story.py"),
            "--gluster", "--hasty", "--patience", "2", "--folder", str(tmp_path),
        ],
        capture_output=True,
        text=True,
        preexec_fn=end_with_parent,
        env={
            "PYTHONPATH": str(HERE.parent.parent),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        },
    )  # fmt: skip
    if done.returncode == NOT_HERE:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    told = json.loads(done.stdout.rpartition("TOLD ")[2])
    assert not told["lost"] and not told["torn"] and not told["aside"] and not told["ids_twice"]
    assert told["acknowledged"] >= 25 and told["orphans"]
    assert told["delivered"] == [["local", "relay"], ["local", "relay"]]
    assert told["copies"] == 0 and told["copies_after_death"] <= told["orphans"]
