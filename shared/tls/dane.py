"""Whether a server's certificate is the one that its TLSA records speak of (RFC 7672 §3, RFC 7671 §5).

The records are usable ones: which these are, and whether the DNS may be believed, was decided before
(mercury_e/dane.py). DANE-EE(3) is about the certificate alone, whatever its names and dates say; DANE-TA(2) about an
authority in the chain that the server shows, and the names in the certificate count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto

DANE_TA, DANE_EE = 2, 3
_FULL_CERTIFICATE, _PUBLIC_KEY = 0, 1

Association = tuple[int, int, int, bytes]
#  RFC 6698 §2.1.3
_MATCHING: dict[int, Callable[[bytes], bytes]] = {
    0: lambda content: content,
    1: lambda content: hashlib.sha256(content).digest(),
    2: lambda content: hashlib.sha512(content).digest(),
}


def dane_problem(
    chain: Sequence[crypto.X509], associations: Iterable[Association], is_named: Callable[[], bool]
) -> str:
    """Why the server, which shows `chain` (its own certificate first), is not the one meant; empty when it is.

    `is_named` says whether its certificate has one of the names that count.
    """
    if not chain:
        return "it shows no certificate"
    certificates = [_parsed(link) for link in chain]
    problem = "its certificate is none that its TLSA records speak of"
    for association in associations:
        if association[0] == DANE_EE and _matches(certificates[0], association):
            return ""
        if association[0] != DANE_TA or not (anchors := _anchors(chain, certificates, association)):
            continue
        if not is_named():
            problem = "its certificate does not name it, as its TLSA records of usage 2 demand"
        elif any(_leads_to(anchor, chain) for anchor in anchors):
            return ""
        else:
            problem = "its certificate does not lead to the authority that its TLSA records name"
    return problem


def _anchors(
    chain: Sequence[crypto.X509], certificates: Sequence[x509.Certificate | None], association: Association
) -> list[crypto.X509]:
    """The authorities that the record means: of the chain, or the one it holds itself, which need not be sent."""
    found = [link for link, one in zip(chain[1:], certificates[1:], strict=True) if _matches(one, association)]
    _, selector, matching, data = association
    if not found and (selector, matching) == (_FULL_CERTIFICATE, 0):
        try:
            found.append(crypto.load_certificate(crypto.FILETYPE_ASN1, data))
        except crypto.Error:
            return []
    return found


def _leads_to(anchor: crypto.X509, chain: Sequence[crypto.X509]) -> bool:
    """Signatures, dates and rights of the chain, up to `anchor`, which need not be signed by anybody."""
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    try:
        store.add_cert(anchor)
        crypto.X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
    except (crypto.X509StoreContextError, crypto.Error):
        return False
    return True


def _matches(certificate: x509.Certificate | None, association: Association) -> bool:
    _, selector, matching, data = association
    if certificate is None or matching not in _MATCHING:
        return False
    try:
        content = (
            certificate.public_bytes(Encoding.DER)
            if selector == _FULL_CERTIFICATE
            else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    except Exception:
        return False  #  a key of a kind that cannot be read is none that the record speaks of
    return _MATCHING[matching](content) == data


def _parsed(link: crypto.X509) -> x509.Certificate | None:
    try:
        return link.to_cryptography()
    except Exception:
        return None  #  what a stranger's certificate raises inside the parser is the parser's secret
