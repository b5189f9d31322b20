"""How much MercuryS bears: sessions and what one of them may do (`receive.limits`), how often somebody may come
(`receive.rates`), and who is not let in for a while (`receive.blacklist`)."""

from __future__ import annotations

from shared.config.rate import Frequency
from shared.config.scalars import Count, Duration
from shared.config.setting import Setting, section


class Limits(Setting):
    """`sessions` count over all workers, the others per session. `data_rate` in octets a second."""

    sessions: Count = 1000
    sessions_per_client: Count = 50
    sessions_per_network: Count = 200
    messages: Count | None = None
    recipients: Count = 1000
    commands: Count = 10_000
    errors: Count = 20
    unknown_recipients: Count = 20
    relay_attempts: Count = 10
    failed_logins: Count = 5
    idle: Duration = 300.0
    data: Duration = 180.0
    data_rate: Count = 500
    handshake: Duration = 60.0
    stress_idle: Duration = 10.0


class ClientRates(Setting):
    """For a client by its address; site networks and exempt clients are not counted."""

    connections: Frequency | None = None
    messages: Frequency | None = None
    recipients: Frequency | None = None


class SendingRates(Setting):
    """For a login, or for a sender."""

    messages: Frequency | None = None
    recipients: Frequency | None = None


class Rates(Setting):
    client: ClientRates = section()
    login: SendingRates = section()
    sender: SendingRates = section()


class BlacklistSettings(Setting):
    """What brings a client onto the blacklist: more than so many within so much time. `time`: how long it stays."""

    time: Duration = 1800.0
    unknown_recipients: Frequency | None = None
    relay_attempts: Frequency | None = None
    failed_logins: Frequency | None = None
