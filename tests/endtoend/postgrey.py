"""postgrey, a greylist that Postfix asks before it takes a recipient: from its unpacked Debian package."""

from __future__ import annotations

import subprocess
from pathlib import Path

from peers import ROOT
from process import Process, answers, free_port

_PACKAGE = ROOT / ".peers/postgrey"
_PROGRAM = _PACKAGE / "usr/sbin/postgrey"


def _perl() -> list[str]:
    """Perl with the modules that were unpacked beside it, for a program that demands -T."""
    folders = [_PACKAGE / "usr/share/perl5", *_PACKAGE.glob("usr/lib/*/perl5/*")]
    return ["perl", "-T", *(word for folder in folders for word in ("-I", str(folder)))]


def why_not() -> str:
    """Why it cannot be run here; empty when it can."""
    if not _PROGRAM.exists():
        return "postgrey is not unpacked: tests/peers.sh fetches it where apt-get is"
    checked = subprocess.run([*_perl(), "-c", str(_PROGRAM)], capture_output=True, text=True, check=False)
    return "" if checked.returncode == 0 else f"postgrey does not run here: {checked.stderr.strip()[-200:]}"


class Postgrey:
    """`delay` seconds; `text` is what it says, as its option --greylist-text has it, empty for its own."""

    def __init__(self, root: Path, delay: int, text: str = "") -> None:
        folder = root / "postgrey"
        folder.mkdir()
        self.port = free_port("127.0.0.1")
        command = [
            *_perl(), str(_PROGRAM), f"--inet=127.0.0.1:{self.port}", f"--dbdir={folder}", f"--delay={delay}",
            "--user=root", "--group=root", "--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null",
            *([f"--greylist-text={text}"] if text else []),
        ]  # fmt: skip
        self.process = Process("postgrey", command, root / "log" / "postgrey.log")

    @property
    def restriction(self) -> str:
        """For Postfix's main.cf, behind what it has about recipients."""
        return (
            "smtpd_recipient_restrictions = reject_unauth_destination, "
            f"check_policy_service inet:127.0.0.1:{self.port}"
        )

    def start(self) -> Postgrey:
        self.process.start(lambda: answers("127.0.0.1", self.port))
        return self

    def stop(self) -> None:
        self.process.kill()
