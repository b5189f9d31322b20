"""Two hosts, one spool: each a network and a host name with daemons, a smarthost and a disk of its own; the spool is a shared file
system that both have mounted, and the mailboxes are common. Not here: which file system that is (gluster.py, test_proof_nfs.py)."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

from account import Flow, acknowledged, tokens_below
from deadline import eventually
from host import Host
from peers import FarEnd
from process import free_port
from setting import Stage

HASTY = Path(__file__).with_name("hasty.py")


class Twin:
    """One of the two. `is_hasty`: see hasty.py."""

    def __init__(self, name: str, root: Path, mount: Path, mail: Path, stage: Stage, is_hasty: bool = False) -> None:
        self.host = Host(f"{name}.hq.example")
        root.mkdir()
        self.site = stage.site(root)
        if is_hasty:
            command = self.site.command
            self.site.command = lambda letter: [sys.executable, str(HASTY), *command(letter)[2:]]  # type: ignore[method-assign]
        with self.host.inside():
            self.far = FarEnd(root, free_port("127.0.0.1"))
            self.far.start()
        config = self.site.config
        config["spool"] = str(mount / "queue")
        (root / "spool").symlink_to(mount / "queue")
        config["local"]["maildir"] = f"{mail}/{{domain}}/{{user}}"
        config["receive"]["pickup"] = {"folder": str(root / "pickup")}
        self.site.relay_to(self.far.hop)
        self.site.write_config()

    def start(self) -> None:
        with self.host.inside():
            self.site.start("sc")

    def flows(self, pause: float) -> list[Flow]:
        with self.host.inside():
            return [
                Flow(self.site.port, recipient, 1, pause, 20_000).start()
                for recipient in ("bert@hq.example", "carl@elsewhere.example")
            ]

    def delivered(self) -> set[str]:
        """The words of the lanes that it has brought messages out of."""
        return {event["lane"] for event in self.site.events("message-finished")}

    def kill(self) -> None:
        """The whole host, its smarthost too."""
        self.host.kill()
        self.clear_processes()

    def clear_processes(self) -> None:
        self.site.kill("".join(self.site.daemons))
        self.far.stop()

    def clear(self) -> None:
        self.clear_processes()
        self.host.close()


class Pair:
    """`mounts` show the same files."""

    def __init__(self, root: Path, mounts: tuple[Path, Path], stage: Stage, is_hasty: bool = False) -> None:
        self.mail = root / "mail"
        self.one, self.other = (
            Twin(name, root / name, mount, self.mail, stage, is_hasty)
            for name, mount in zip("ab", mounts, strict=True)
        )
        self.one.site.add_users("anna", "bert")
        shutil.copy(self.one.site.root / "users.yaml", self.other.site.root)

    @property
    def twins(self) -> tuple[Twin, Twin]:
        return self.one, self.other

    def find(self) -> tuple[dict[str, int], list[str]]:
        return tokens_below(self.mail, self.one.far.folder, self.other.far.folder)

    def missing(self, flows: list[Flow]) -> set[str]:
        return acknowledged(flows) - set(self.find()[0])

    def load(self, least: int = 5, seconds: float = 60, pause: float = 0.1) -> list[Flow]:
        """Mail to both, of which `least` messages of each flow are taken when this returns."""
        flows = [flow for twin in self.twins for flow in twin.flows(pause)]
        for number, flow in enumerate(flows):
            eventually(lambda flow=flow: len(flow.acknowledged) > least, seconds, f"flow {number} is taken")
        return flows

    def entries(self) -> list[Path]:
        """As the other host sees them."""
        with contextlib.suppress(OSError):
            return [path for lane in ("local", "relay", "direct") for path in self.other.site.entries(lane)]
        return []

    def claims_of_one(self) -> set[str]:
        return {path.name for path in self.entries() if f".{self.one.host.name}:" in path.name}

    def is_empty(self) -> bool:
        return all(twin.site.is_empty() for twin in self.twins)


def copies(pair: Pair, flows: list[Flow]) -> int:
    """Beyond the first, and beyond those for which the client could not know."""
    known = sum((flow.unanswered + flow.refused for flow in flows), start=type(flows[0].unanswered)())
    return sum(max(0, count - 1 - known[token]) for token, count in pair.find()[0].items())
