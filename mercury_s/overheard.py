"""A session that somebody looks on at (shared/observe/tap.py). All others are plain ones."""

from __future__ import annotations

from mercury_s.auth.client_certificate import ClientCertificate
from mercury_s.door import Door, ListenerTerms
from mercury_s.policy.client import Welcome
from mercury_s.session import Session
from mercury_s.wire import Wire
from shared.observe.tap import Dialogue


class OverheardWire:
    """The Wire `wire`, and what is said on it told to `dialogue`."""

    def __init__(self, wire: Wire, dialogue: Dialogue) -> None:
        self._wire = wire
        self._dialogue = dialogue
        self.close = wire.close
        self.pause = wire.pause
        self.resume = wire.resume
        self.read_at_once = wire.read_at_once
        self.introduce = wire.introduce
        self.own_address = wire.own_address

    def send(self, data: bytes) -> None:
        self._dialogue.server(data)
        self._wire.send(data)

    def start_tls(self) -> None:
        self._wire.start_tls()
        self._dialogue.secured("TLS begins")

    def tls_words(self) -> str:
        return self._wire.tls_words()

    def channel_binding(self) -> bytes | None:
        return self._wire.channel_binding()

    def client_certificate(self) -> ClientCertificate | None:
        return self._wire.client_certificate()


class OverheardSession(Session):
    def __init__(
        self,
        dialogue: Dialogue,
        door: Door,
        terms: ListenerTerms,
        welcome: Welcome,
        address: str,
        wire: Wire,
        is_encrypted: bool,
        may_introduce: bool,
    ) -> None:
        super().__init__(door, terms, welcome, address, OverheardWire(wire, dialogue), is_encrypted, may_introduce)
        self._dialogue = dialogue

    def receive(self, data: bytes) -> None:
        self._dialogue.client(data)
        super().receive(data)

    def lost(self) -> None:
        super().lost()
        self._dialogue.note(f"the session is over: {self.end}")
