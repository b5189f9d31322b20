"""What the settings of one next hop have to do with each other (`smarthosts:`, `via:`).

Plain text is for private networks: to any other address it must be said twice (`tls: off` and `in_clear: true`), and
so it must before anybody logs in over plain text. Whether a name leads to a private address is seen when it is
dialled (shared/transport/dial.py). Not here: what a hop is for (checks.py), tokens (oauth_checks.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from shared.config.problem import Problem, shown
from shared.config.scalars import is_ip
from shared.config.secret import fault_of_secret
from shared.config.sites import Hop
from shared.routing.next_hop import Tls


def check_hop(hop: Hop, is_here: bool = True) -> Iterator[Problem]:
    """`is_here`: this host dials it, so that its secrets and certificates must lie here."""
    yield from _check_plain_text(hop)
    yield from _check_trust(hop)
    if is_here:
        yield from _check_files(hop)
    yield from _check_source(hop)
    origin = hop.origin
    if hop.login and hop.password_file is None and not hop.oauth and hop.certificate is None:
        yield origin.problem("'login' needs a 'password_file', an 'oauth' account or a 'certificate'", "login")
    if hop.password_file is not None and not hop.login:
        yield origin.problem("'password_file' needs a 'login'", "password_file")


def _check_plain_text(hop: Hop) -> Iterator[Problem]:
    origin = hop.origin
    if hop.tls is not Tls.OFF:
        if hop.in_clear:
            yield origin.problem("'in_clear' is the second word for 'tls: off', which is not said", "in_clear")
        return
    if hop.implicit:
        yield origin.problem("'tls: off', but this port speaks TLS from the first byte", "tls")
    if hop.in_clear:
        return
    again = "say 'in_clear: true' as well if that is what you want"
    if hop.login:
        yield origin.problem(f"a login over plain text is refused: leave 'tls: off' away, or {again}", "tls")
    elif is_ip(hop.host) and not ip_address(hop.host).is_private:
        yield origin.problem(f"plain text to {hop.host}, which is no private address: {again}", "tls")


def _check_trust(hop: Hop) -> Iterator[Problem]:
    origin = hop.origin
    if hop.tls is Tls.DANE:
        yield origin.problem("'tls: dane' is for direct delivery: write 'deliver: direct' and 'tls: dane'", "tls")
    if hop.tls is Tls.PIN and not hop.pins:
        yield origin.problem("'tls: pin' needs 'pins'", "tls")
    if hop.pins and hop.tls not in (Tls.PIN, Tls.VERIFY):
        yield origin.problem("'pins' need 'tls: pin', or 'tls: verify' to have the certificate verified, too", "pins")
    if hop.authorities is not None and hop.tls is not Tls.VERIFY:
        yield origin.problem("'authorities' need 'tls: verify'", "authorities")
    if hop.key is not None and hop.certificate is None:
        yield origin.problem("'key' needs its 'certificate'", "key")
    if hop.certificate is not None and hop.tls is Tls.OFF:
        yield origin.problem("'certificate' means nothing with 'tls: off'", "certificate")
    if hop.certificate is not None and hop.key is None:
        yield origin.problem("'certificate' needs its 'key'", "certificate")


def _check_files(hop: Hop) -> Iterator[Problem]:
    origin = hop.origin
    if hop.password_file is not None and (fault := fault_of_secret(hop.password_file)):
        yield origin.problem(fault, "password_file")
    for name, path in (("authorities", hop.authorities), ("certificate", hop.certificate)):
        if path is not None and (fault := fault_of_file(path)):
            yield origin.problem(fault, name)
    if hop.key is not None and (fault := fault_of_secret(hop.key)):
        yield origin.problem(fault, "key")


def fault_of_file(path: Path) -> str:
    if os.path.isfile(path):
        return ""
    return f"{shown(str(path), longest=1000)} does not exist, or is no file"


def _check_source(hop: Hop) -> Iterator[Problem]:
    versions = [ip_address(source).version for source in hop.source_address or ()]
    if len(versions) != len(set(versions)):
        yield hop.origin.problem("'source_address' holds one for IPv4 and one for IPv6", "source_address")
