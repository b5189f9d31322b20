"""Renewed certificates are used as soon as their files have changed, without a reload.

Not here: reading them (shared/tls/server.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from shared.observe import events
from shared.observe.log import log
from shared.tls.certificate import CertificateTrouble
from shared.tls.server import ServerCertificates

_SECONDS_BETWEEN_LOOKS = 60.0


async def keep_renewed(
    certificates: Callable[[], ServerCertificates | None],
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Never ends; files that cannot be used are said and looked at again, and the old certificates stay."""
    while True:
        in_force = certificates()
        if in_force is not None:
            _look_at(in_force)
        await pause(_SECONDS_BETWEEN_LOOKS)


def _look_at(certificates: ServerCertificates) -> None:
    try:
        if certificates.reload():
            log.event(events.CERTIFICATES_RENEWED)
        for line in certificates.warnings(datetime.now(UTC)):
            log.event(events.CERTIFICATE_WARNING, reason=line)
    except (CertificateTrouble, OSError) as trouble:
        log.event(events.CERTIFICATE_WARNING, reason=str(trouble))
