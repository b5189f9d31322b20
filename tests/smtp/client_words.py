"""What the tests of the client's conversation share: a server whose words the test writes, and mail to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.mail.address import Address, parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Outcome
from shared.smtp.client import Conversation
from shared.smtp.client_events import Ended, Event, Finished, Opened, Opening, StartTls, TlsWanted

HOST = "mx.example[192.0.2.1]:25"
MESSAGE = b"Subject: greetings\r\n\r\nHello.\r\n"
PLAIN = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES")
Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def singly(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def to(*names: str) -> tuple[Recipient, ...]:
    return tuple(Recipient(parse_address(name) if "@" in name else Address(name, "x.example")) for name in names)


def envelope(*names: str, sender: str | None = "anna@hq.example", **more: object) -> Envelope:
    return Envelope("ID", parse_address(sender) if sender else None, to(*names), 0.0, **more)  # type: ignore[arg-type]


class BrokenContent:
    """A message whose file goes bad after `good` octets."""

    size = 1_000_000

    def __init__(self, good: bytes = b"") -> None:
        self._good = good

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        if self._good:
            yield self._good
        raise OSError(5, "Input/output error")

    def head(self) -> bytes:
        raise OSError(5, "Input/output error")


class Client:
    """A conversation, what it has said, and what it has reported."""

    def __init__(self, opening: Opening | None = None, cut: Cut = whole) -> None:
        self.conversation = Conversation(opening or Opening("me.example"), HOST)
        self.events: list[Event] = []
        self.said = b""
        self._cut = cut

    def hear(self, *lines: str) -> Client:
        """In one segment, but for what a server can only know after we have spoken: the answers to EHLO and body."""
        segment = b""
        for line in lines:
            segment += line.encode() + b"\r\n"
            if line.startswith(("220", "354")):
                self.hear_octets(segment)
                segment = b""
        return self.hear_octets(segment)

    def hear_octets(self, data: bytes) -> Client:
        for piece in self._cut(data):
            self.conversation.receive(piece)
            self.look()
        return self

    def look(self) -> Client:
        self.said += self.conversation.take()
        while self.conversation.wants_body:
            self.said += self.conversation.next_body()
        self.said += self.conversation.take()
        self.events += self.conversation.events()
        return self

    def lines(self) -> list[str]:
        """What has been said since the last call."""
        said, self.said = self.said, b""
        return said.decode("utf-8", "replace").split("\r\n")[:-1]

    def opened(self, *offers: str) -> Client:
        """Past the greeting and EHLO, with these extensions offered."""
        self.hear("220 mx.example ESMTP", *ehlo(*offers))
        assert isinstance(self.events[-1], Opened), self.events
        self.events.clear()
        self.said = b""
        return self

    def send(self, mail: Envelope | None = None, message: bytes = MESSAGE) -> Client:
        mail = mail or envelope("bob@x.example")
        self.conversation.send(mail, mail.recipients, BytesContent(message))
        return self.look()

    def last(self) -> Event:
        return self.events[-1]

    def finished(self) -> Finished:
        found = [event for event in self.events if isinstance(event, Finished)]
        assert len(found) == 1, self.events
        return found[0]

    def ended(self) -> Ended:
        found = [event for event in self.events if isinstance(event, Ended)]
        assert len(found) == 1, self.events
        return found[0]

    def outcome(self, name: str = "bob@x.example") -> Outcome:
        return self.finished().outcomes[to(name)[0]]

    def outcomes(self) -> list[str]:
        """Kind and reply for each recipient, by address."""
        outcomes = self.finished().outcomes.items()
        return [
            f"{who.address.local} {type(it).__name__} {it.reply.code} {it.reply.enhanced}"
            for who, it in sorted(outcomes, key=lambda item: item[0].address.local)
        ]


def ehlo(*offers: str) -> list[str]:
    lines = ["mx.example", *offers]
    return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]


__all__ = [
    "HOST", "MESSAGE", "PLAIN", "BrokenContent", "Client", "Ended", "Finished", "Opened", "Opening", "StartTls",
    "TlsWanted", "ehlo", "envelope", "singly", "to", "whole",
]  # fmt: skip
