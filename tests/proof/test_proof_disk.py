"""R-08 to R-10: a disk that fills up, that has no inodes left, that the kernel makes read-only: nothing acknowledged is lost,
and mail goes on by itself as soon as there is room."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from account import Flow, acknowledged, tokens_below
from deadline import eventually
from disks import disk, make, mount, need, run, unmount
from mailsite import NOBODY, Site
from peers import FarEnd
from power import live_on


def end_well(site: Site, far_end: FarEnd, flows: list[Flow], place: Path) -> dict[str, object]:
    """Everything that was acknowledged has arrived, once."""
    for flow in flows:
        flow.end()
    lanes = [place / "spool" / lane / part for lane in (".local", ".relay") for part in ("new", "cur")]
    eventually(lambda: not any(list(lane.iterdir()) for lane in lanes), 90, "an empty queue")
    found, torn = tokens_below(place / "mail", far_end.folder)
    taken = acknowledged(flows)
    assert not taken - set(found), f"lost: {sorted(taken - set(found))[:5]}"
    assert not torn
    again = {token: count for token, count in found.items() if count > 1}
    assert not again, f"more than once: {sorted(again)[:5]}"
    refusals = sum((flow.later for flow in flows), start=flows[0].later.__class__())
    return {"acknowledged": len(taken), "lost": 0, "refusals": dict(refusals)}


@pytest.mark.timeout(240)
def test_a_disk_that_fills_up(site: Site, far_end: FarEnd, tmp_path: Path, tell: Callable[..., None]) -> None:
    """The smarthost is away, so mail piles up until there is no room; then it comes back, and all is drained by itself."""
    need("mkfs.ext4")
    with disk(tmp_path, "ext4", 64) as place:
        live_on(site, place, NOBODY)
        site.start("sc")
        names = ("anna@hq.example", "x@elsewhere.example", "y@elsewhere.example")
        flows = [Flow(site.port, name, 2, 0.0, 600_000).start() for name in names]
        eventually(lambda: sum(flow.later["MAIL: 452 4.3.1"] for flow in flows) >= 10, 60, "452 4.3.1 at MAIL")
        ballast = place / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(4)  #  Trails, adoption and sweeps find the disk full to the last block.
        before = len(acknowledged(flows))
        ballast.unlink()
        site.relay_to(far_end.hop)
        site.write_config()
        site.daemons["c"].signal(1)
        eventually(lambda: len(acknowledged(flows)) > before + 20, 60, "mail is taken again")
        tell(**end_well(site, far_end, flows, place))
        site.stop("sc")


@pytest.mark.timeout(240)
def test_inodes_run_out(site: Site, far_end: FarEnd, tmp_path: Path, tell: Callable[..., None]) -> None:
    need("mkfs.ext4")
    with disk(tmp_path, "ext4", 64, "-N", "400") as place:
        live_on(site, place, NOBODY)
        site.start("sc")
        flows = [Flow(site.port, name, 2, 0.0, 2_000).start() for name in ("anna@hq.example", "x@elsewhere.example")]
        eventually(lambda: sum(flow.later.total() for flow in flows) >= 20, 60, "refusals")
        before = len(acknowledged(flows))
        site.relay_to(far_end.hop)
        site.write_config()
        site.daemons["c"].signal(1)
        eventually(lambda: len(far_end.kept()) >= 20, 60, "the queue is drained")
        #  Mailboxes keep their inodes: this one is emptied, as its owner would.
        keep = tmp_path / "kept" / "new"
        keep.mkdir(parents=True)
        for path in (place / "mail" / "hq.example" / "anna" / "new").iterdir():
            (keep / path.name).write_bytes(path.read_bytes())
            path.unlink()
        eventually(lambda: len(acknowledged(flows)) > before + 20, 60, "mail is taken again")
        for flow in flows:
            flow.end()
        lanes = [place / "spool" / lane / part for lane in (".local", ".relay") for part in ("new", "cur")]
        eventually(lambda: not any(list(lane.iterdir()) for lane in lanes), 90, "an empty queue")
        found, torn = tokens_below(place / "mail", keep, far_end.folder)
        taken = acknowledged(flows)
        assert not taken - set(found) and not torn and not [token for token, count in found.items() if count > 1]
        tell(
            acknowledged=len(taken),
            lost=0,
            refusals=dict(sum((flow.later for flow in flows), start=type(flows[0].later)())),
        )
        site.stop("sc")


@pytest.mark.timeout(240)
def test_the_spool_becomes_read_only(site: Site, far_end: FarEnd, tmp_path: Path, tell: Callable[..., None]) -> None:
    """As ext4 does after an error. Nobody may be told 250 from then on; who repairs the disk starts the daemons again."""
    need("mkfs.ext4", "e2fsck")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    make(image, "ext4", 64)
    mount(image, place, "ext4", "errors=remount-ro")
    try:
        live_on(site, place, far_end.hop)
        site.start("sc")
        flows = [Flow(site.port, name, 2, 0.01, 9_000).start() for name in ("anna@hq.example", "x@elsewhere.example")]
        eventually(lambda: len(acknowledged(flows)) > 100, 60, "mail")
        device = Path(run("findmnt", "-n", "-o", "SOURCE", place)).name
        trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
        if not trigger.exists():
            pytest.skip("the kernel offers no trigger_fs_error")
        try:
            trigger.write_text("the proof\n")
        except OSError as error:
            pytest.skip(f"{trigger} cannot be written here: {error.strerror}")
        eventually(lambda: sum(flow.later.total() for flow in flows) >= 10, 30, "refusals")
        begun, acked = time.monotonic(), len(acknowledged(flows))
        spent = cpu_seconds(site, "c")
        time.sleep(5)
        spent = (cpu_seconds(site, "c") - spent) / (time.monotonic() - begun)
        assert len(acknowledged(flows)) == acked, "acknowledged on a disk that cannot be written"
        assert all(site.daemons[letter].is_running for letter in "sc"), "alive"
        assert spent < 0.5, f"it spins: {spent:.0%} of a core"
        assert "Read-only" in site.logs(), "the reason is said"
        site.kill("sc")
        unmount(place)
        run("sh", "-c", f"e2fsck -fy {image} >/dev/null || [ $? -le 2 ]")
        mount(image, place)
        site.start("sc")
        eventually(lambda: len(acknowledged(flows)) > acked + 20, 60, "mail is taken again")
        counts = end_after_repair(site, far_end, flows, place)
        tell(**counts, relay_cpu_percent=round(spent * 100))
        site.stop("sc")
    finally:
        site.kill("".join(site.daemons))
        unmount(place)


def end_after_repair(site: Site, far_end: FarEnd, flows: list[Flow], place: Path) -> dict[str, object]:
    for flow in flows:
        flow.end()
    lanes = [place / "spool" / lane / part for lane in (".local", ".relay") for part in ("new", "cur")]
    eventually(lambda: not any(list(lane.iterdir()) for lane in lanes), 90, "an empty queue")
    found, torn = tokens_below(place / "mail", far_end.folder)
    lost = acknowledged(flows) - set(found)
    assert not lost and not torn, f"{len(lost)} lost, torn {torn[:3]}"
    return {"acknowledged": len(acknowledged(flows)), "lost": 0, "second_copies": found.total() - len(found)}


def cpu_seconds(site: Site, letter: str) -> float:
    fields = Path(f"/proc/{site.daemons[letter].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
