"""Pure: a message for many recipients, cut into what a server takes at once (RFC 5321 §4.5.3.1.8, RFC 9422)."""

from __future__ import annotations

from collections.abc import Sequence

from shared.mail.envelope import Recipient


def first_batch(
    recipients: Sequence[Recipient], most: int, most_domains: int = 0
) -> tuple[Sequence[Recipient], Sequence[Recipient]]:
    """At most `most` recipients of at most `most_domains` domains (0: any number), and the others, in their order."""
    if not most_domains:
        return (recipients, ()) if len(recipients) <= most else (recipients[:most], recipients[most:])
    batch: list[Recipient] = []
    rest: list[Recipient] = []
    domains: set[str] = set()
    for recipient in recipients:
        domain = recipient.address.ascii_domain
        if len(batch) < most and (domain in domains or len(domains) < most_domains):
            domains.add(domain)
            batch.append(recipient)
        else:
            rest.append(recipient)
    return batch, rest
