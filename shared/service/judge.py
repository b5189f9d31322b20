"""The judge: the routing table in force, as the runner, the reports and the operator ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.config.model import Config
from shared.config.report_texts import words_of
from shared.config.sending import DoubleBounce
from shared.delivery.reports import Manners
from shared.mail.envelope import Envelope, Recipient
from shared.mail.record import dataclass
from shared.routing.decide import decide_route, split_by_lane
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.spool.deposit import Letter


def manners(config: Config) -> Manners:
    words = words_of(config)
    return Manners(
        {name: words[site.language.value] for name, site in config.sites.items()},
        config.reports.double_bounces is DoubleBounce.HOLD,
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """The routing table in force, as the runner and the reports ask it."""

    table: RoutingTable

    def rejudge(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Mapping[Lane, tuple[Recipient, ...]]:
        if len(recipients) == 1:
            return {decide_route(self.table, recipients[0].address, envelope.site).lane: (recipients[0],)}
        return split_by_lane(self.table, replace(envelope, recipients=tuple(recipients)))

    def letters(self, envelope: Envelope) -> list[Letter]:
        """One letter for each lane that a message born here needs."""
        if not envelope.site:
            envelope = replace(envelope, site=self.table.here)
        lanes = split_by_lane(self.table, envelope)
        return [Letter(lane, replace(envelope, recipients=some)) for lane, some in lanes.items()]
