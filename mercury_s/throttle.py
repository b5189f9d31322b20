"""The throttle: `receive.rates`, how often a client may come, and a client, a login or a sender may write.

There is none when no rate is configured, and then nothing is counted. Asked in vain nothing is counted either.
"""

from __future__ import annotations

from collections.abc import Callable

from mercury_s.meters import AnyMeter, renew
from mercury_s.policy.verdict import Refuse
from mercury_s.tally import Tally
from shared.config.limits import Rates
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.state.blacklist import network_of


@light
@dataclass(frozen=True, slots=True)
class Sending:
    """Who sends. `client` is empty for one whose rates do not count, `login` and `sender` where there is none."""

    client: str
    login: str
    sender: str


class Throttle:
    def __init__(
        self, rates: Rates, clock: Callable[[], float], old: Throttle | None = None, tally: Tally | None = None
    ) -> None:
        """`old` gives its counts to the rates that are still the same; a `tally` is what workers count by."""

        def meter(name: str) -> AnyMeter | None:
            group, _, what = name.partition(".")
            before = old.meters[name] if old is not None else None
            return renew(before, getattr(getattr(rates, group), what, None), clock, tally, name)

        self.meters = {f"{group}.{what}": meter(f"{group}.{what}")
                       for group in ("client", "login", "sender")
                       for what in ("connections", "messages", "recipients")}  # fmt: skip

    @property
    def is_idle(self) -> bool:
        """Whether there is no rate to keep."""
        return all(meter is None for meter in self.meters.values())

    def connection(self, client: str) -> Refuse | None:
        meter = self.meters["client.connections"]
        wait = meter.draw(client_key(client)) if meter is not None else 0.0
        if not wait:
            return None
        text = f"Too many connections from your address in a short time; try again in {_span(wait)}"
        return Refuse(Reply(421, "4.7.0", text), "receive.rates.client.connections is reached")

    def message(self, sending: Sending) -> Refuse | None:
        return self._draw("messages", sending)

    def recipient(self, sending: Sending) -> Refuse | None:
        return self._draw("recipients", sending)

    def _draw(self, what: str, sending: Sending) -> Refuse | None:
        asked = [
            (group, meter, key)
            for group, key in (("client", sending.client), ("login", sending.login), ("sender", sending.sender))
            if key and (meter := self.meters[f"{group}.{what}"]) is not None
        ]
        for group, meter, key in asked:
            wait = meter.wait(key)
            if wait:
                text = f"Too many {what} {_FROM[group]} in a short time; try again in {_span(wait)}"
                return Refuse(Reply(450, "4.7.1", text), f"receive.rates.{group}.{what} is reached")
        for _, meter, key in asked:
            meter.draw(key)
        return None


_FROM = {"client": "from your address", "login": "from your account", "sender": "from this sender"}


def client_key(address: str) -> str:
    """What counts as one client: an IPv4 address, an IPv6 /64."""
    try:
        return str(network_of(address))
    except ValueError:
        return address


def _span(seconds: float) -> str:
    return f"{int(seconds) + 1} s" if seconds < 120 else f"{int(seconds // 60) + 1} min"
