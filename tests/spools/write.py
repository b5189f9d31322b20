"""`write.py [--again]`: the spool that a version leaves behind for the tests of all later ones, into tests/spools/<version>.

package/release.py runs it for the last time before the version is tagged (`--again`: in place of what is there); after that the
folder is never changed. Every kind of entry is in it that the
version can write: each lane, waiting, put off, claimed by a daemon that died, half settled, held, removed; every field of the record.
The subject of each is its token, and expected.json says to whom it is still to go.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fakes.spools import PromptCommitter  # noqa: E402

from shared import __version__  # noqa: E402
from shared.mail.address import parse_address  # noqa: E402
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return  # noqa: E402
from shared.routing.lane import Lane  # noqa: E402
from shared.spool.claim import Claim  # noqa: E402
from shared.spool.deposit import Depositor, Letter  # noqa: E402
from shared.spool.ids import QueueIds  # noqa: E402
from shared.spool.lane import LaneFolder  # noqa: E402
from shared.spool.owner import Owner  # noqa: E402
from shared.spool.spool import Spool  # noqa: E402
from shared.spool.trail import DEFERRED, DELIVERED, RELAYED, REROUTED, TrailRecord  # noqa: E402

NODE = "mail.hq.example"
NOW = 1790000000.0
LOCAL, RELAYED_TO, DIRECT = "anna@hq.example", "berta@elsewhere.example", "carl@partner.example"
LOST = "450 4.2.0 come again"


class Writer:
    """Puts entries into a spool and writes down what is expected of them."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root, NODE, lambda event, **fields: None)
        self.spool.prepare()
        self._committer = PromptCommitter()
        self._depositor = Depositor(self.spool, self._committer, QueueIds(root, clock=lambda: NOW))
        self.owner = Owner(self.spool, "mercury-c", lambda: 0.0)
        self.owner.begin()
        self.expected: list[dict[str, Any]] = []

    def entry(self, token: str, lane: Lane, *recipients: str, text: bytes = b"hello\r\n", **asked: Any) -> str:
        """Its name. `asked` are fields of the envelope."""
        notify = asked.pop("notify", ())
        original = asked.pop("original", "")
        envelope = Envelope(
            self._depositor.next_id(),
            parse_address("sender@hq.example"),
            tuple(Recipient(parse_address(text), notify, original) for text in recipients),
            NOW,
            site="hq",
        )
        draft = self._depositor.draft([Letter(lane, replace(envelope, **asked))])
        draft.write(
            f"Received: from pc12.hq.example\r\nSubject: {token}\r\nMIME-Version: 1.0\r\n\r\n".encode() + text
        )
        errors: list[OSError | None] = []
        draft.commit(errors.append)
        assert errors == [None]
        self.expected.append({"token": token, "lane": lane.value, "to": list(recipients)})
        [name] = {landing.name for landing in self._committer.last}
        return name

    def folder(self, lane: Lane) -> LaneFolder:
        return LaneFolder(self.spool, lane, self.owner)

    def claim(self, lane: Lane, name: str) -> Claim:
        claim = self.folder(lane).claim(name)
        assert claim is not None
        return claim

    def say(self, claim: Claim, *records: TrailRecord) -> None:
        claim.trail.append(records, durable=True)

    def still(self, *recipients: str) -> None:
        """To whom the last entry is still to go."""
        self.expected[-1]["to"] = list(recipients)


def fill(writer: Writer) -> None:
    writer.entry("waits-local", Lane.LOCAL, LOCAL)
    writer.entry("waits-relay", Lane.RELAY, RELAYED_TO, client="192.168.1.12 pc12.hq.example", login="anna")
    writer.entry("waits-direct", Lane.DIRECT, DIRECT)
    writer.entry("two-recipients", Lane.RELAY, RELAYED_TO, "dora@elsewhere.example")
    writer.entry("large", Lane.LOCAL, LOCAL, text=b"0123456789abcde\r\n" * 24_000)
    _fill_fields(writer)
    _fill_states(writer)


def _fill_fields(writer: Writer) -> None:
    """Every field of the record."""
    writer.entry("eight-bit", Lane.RELAY, RELAYED_TO, text="grüße\r\n".encode(), body=Body.EIGHT_BIT)
    writer.entry("utf8", Lane.LOCAL, "jürgen@hq.example", smtputf8=True)
    writer.entry(
        "reports", Lane.RELAY, RELAYED_TO, ret=Return.HEADERS, envid="QQ314159",
        notify=(Notify.FAILURE, Notify.DELAY), original="rfc822;berta+2Bwork@elsewhere.example",
    )  # fmt: skip
    writer.entry("null-sender", Lane.LOCAL, LOCAL, sender=None, cause="0T3H-7K2V")
    writer.entry("urgent", Lane.DIRECT, DIRECT, priority=4)
    writer.entry("bulk", Lane.RELAY, RELAYED_TO, priority=-4, tls_optional=True)
    writer.entry("quoted", Lane.RELAY, '"john doe"@elsewhere.example')


def _fill_states(writer: Writer) -> None:
    """Every state that docs/spool.md knows."""
    put_off = writer.claim(Lane.RELAY, writer.entry("put-off", Lane.RELAY, RELAYED_TO))
    writer.say(
        put_off, TrailRecord(NOW, "mercury-c", DEFERRED, RELAYED_TO, LOST, "smtp.isp.example", "again at 22:05")
    )
    writer.folder(Lane.RELAY).postpone(put_off, NOW + 300)
    #  The others of a half settled entry have it already.
    half = writer.claim(Lane.RELAY, writer.entry("half", Lane.RELAY, RELAYED_TO, "dora@elsewhere.example"))
    writer.say(half, TrailRecord(NOW, "mercury-c", RELAYED, RELAYED_TO, "250 2.0.0 ok", "smtp.isp.example"))
    writer.folder(Lane.RELAY).postpone(half, NOW + 300)
    writer.still("dora@elsewhere.example")
    claimed = writer.claim(Lane.LOCAL, writer.entry("claimed-local", Lane.LOCAL, LOCAL, "bert@hq.example"))
    writer.say(claimed, TrailRecord(NOW, "mercury-s", DELIVERED, LOCAL))
    writer.still("bert@hq.example")
    writer.claim(Lane.RELAY, writer.entry("claimed-relay", Lane.RELAY, RELAYED_TO))
    torn = writer.claim(Lane.DIRECT, writer.entry("torn-trail", Lane.DIRECT, DIRECT))
    writer.say(torn, TrailRecord(NOW, "mercury-e", DEFERRED, DIRECT, LOST, "mx.partner.example"))
    with open(torn.trail.path, "ab") as file:
        file.write(b'{"at":1790000009,"daem')
    writer.folder(Lane.RELAY).move(
        writer.claim(Lane.RELAY, writer.entry("moved", Lane.RELAY, DIRECT)), Lane.DIRECT, NOW
    )
    held = writer.claim(Lane.RELAY, writer.entry("held", Lane.RELAY, RELAYED_TO))
    writer.folder(Lane.RELAY).move(held, Lane.HOLD, NOW)
    removed = writer.claim(Lane.RELAY, writer.entry("removed", Lane.RELAY, RELAYED_TO))
    writer.folder(Lane.RELAY).move(removed, Lane.TRASH, NOW)
    detour = writer.claim(Lane.RELAY, writer.entry("rerouted", Lane.RELAY, RELAYED_TO))
    writer.say(detour, TrailRecord(NOW, "root", REROUTED, detail="relay"))
    writer.folder(Lane.RELAY).postpone(detour, NOW)


def main() -> None:
    folder = Path(__file__).parent / __version__
    if folder.exists() and "--again" not in sys.argv[1:]:
        raise SystemExit(
            f"{folder} is there: what a release has written stays as it is (--again: it is not released yet)"
        )
    shutil.rmtree(folder, ignore_errors=True)
    os.umask(0o077)
    writer = Writer(folder / "spool")
    fill(writer)
    (folder / "expected.json").write_text(json.dumps(writer.expected, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(writer.expected)} entries in {folder}")


if __name__ == "__main__":
    main()
