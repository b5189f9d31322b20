"""Certificates follow their files by themselves, and a broken file changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from fakes.certificates import make_certificate

from mercury_s.renewal import keep_renewed
from shared.tls.server import ServerCertificates


class Over(Exception):
    """The steps of the test are done."""


def run(certificates: Callable[[], ServerCertificates | None], *steps: Callable[[], object]) -> list[float]:
    """Each step happens while the watch pauses; the pauses it asked for."""
    waiting = list(steps)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if not waiting:
            raise Over
        waiting.pop(0)()

    try:
        asyncio.run(keep_renewed(certificates, pause))
    except Over:
        pass
    return pauses


def test_a_new_certificate_is_in_use_at_the_next_look_and_a_broken_one_is_not(tmp_path: Path) -> None:
    old, new = (make_certificate(tmp_path, [name]) for name in ("old.example", "new.example"))
    certificates = ServerCertificates.load([old])
    seen: list[set[str]] = []

    def renew() -> None:
        for source, target in zip(new, old, strict=True):
            os.replace(source, target)

    def spoil() -> None:
        seen.append(set(certificates.names))
        old[0].write_text("half a certif")

    def look() -> None:
        seen.append(set(certificates.names))

    pauses = run(lambda: certificates, renew, spoil, look)
    assert seen == [{"new.example"}, {"new.example"}]
    assert pauses == [60.0] * 4


def test_without_certificates_it_waits_for_some() -> None:
    assert len(run(lambda: None, lambda: None)) == 2
