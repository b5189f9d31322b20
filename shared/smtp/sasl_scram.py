"""The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677; channel binding by RFC 9266).

The password never comes here: the client shows that it knows it, and the server that it has the keys. Octets in and
out; base64 and AUTH are sasl.py's, whose the keys are is asked elsewhere (mercury_s/auth), and the nonce is given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata
from dataclasses import field

from shared.mail.record import dataclass
from shared.smtp.sasl import Malformed

PLAIN_NAME = "SCRAM-SHA-256"
PLUS_NAME = "SCRAM-SHA-256-PLUS"
BINDING = b"tls-exporter"

#  RFC 5802 §7   client-first-message = gs2-cbind-flag "," [ "a=" saslname ] "," "n=" saslname "," "r=" c-nonce
#  saslname has no NUL, "," or "=" but for "=2C" and "=3D"; an extension after the nonce is none that we know, and
#  `m=` before the name is one that we may not skip: both are malformed here.
_SASLNAME = rb"(?:[^\0=,]|=2C|=3D)+"
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]{1,64})),(?:a=(?P<authzid>" + _SASLNAME + rb"))?,)"
    rb"(?P<bare>n=(?P<name>" + _SASLNAME + rb"),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{8,512}))"
)
#  client-final-message = "c=" base64 "," "r=" nonce "," "p=" base64
_CLIENT_FINAL = re.compile(
    rb"(?P<unproven>c=(?P<binding>[A-Za-z0-9+/=]{4,4096}),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{1,1024})),"
    rb"p=(?P<proof>[A-Za-z0-9+/]{43}=)"
)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What is kept for one password (RFC 5802 §3). Its repr shows nothing that helps in guessing."""

    iterations: int
    salt: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opening:
    """The client has said who it is; `ScramExchange.challenge` wants the keys of `authcid`, or stand-ins for them."""

    authcid: str


@dataclass(frozen=True, slots=True)
class Proof:
    """`is_right`: the client knows the password; `signature` is then our own proof, said as a last challenge."""

    is_right: bool
    signature: bytes = b""


def derive_keys(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """Takes as long as `iterations` say: not in a loop's thread."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return ScramKeys(iterations, salt, stored_key, _hmac(salted, b"Server Key"))


def prepared(password: str) -> bytes:
    """SASLprep (RFC 4013 §2.1, §2.2), which clients do before they hash: other spaces, what is invisible, NFKC."""
    mapped = (" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    return unicodedata.normalize("NFKC", "".join(mapped)).encode("utf-8", "surrogatepass")


class ScramExchange:
    """One exchange: `open` with the client's first message, `challenge` with the keys, `prove` with its second.

    `nonce` is our half, fresh and unguessable. `binding` is the exporter value of this TLS connection when the
    mechanism is the one with channel binding. `is_plus_offered`: a client that says "you cannot do it" although we
    offered it was lied to by somebody in between (RFC 5802 §6).
    """

    def __init__(self, nonce: str, binding: bytes | None = None, is_plus_offered: bool = False) -> None:
        self._nonce = nonce.encode("ascii")
        self._binding = binding
        self._is_plus_offered = is_plus_offered
        self._gs2 = self._bare = self._server_first = b""
        self._keys: ScramKeys | None = None

    def open(self, message: bytes) -> Opening | Malformed:
        found = _CLIENT_FIRST.fullmatch(message)
        if not found:
            return Malformed("not the first message of a SCRAM client")
        if fault := self._fault_of_binding(found["flag"], found["binding"]):
            return Malformed(fault)
        name, authzid = _saslname(found["name"]), _saslname(found["authzid"] or b"")
        if name is None or authzid is None or not name:
            return Malformed("the name is not printable UTF-8, or too long")
        if authzid and authzid != name:
            return Malformed("nobody acts for another one here")
        self._gs2, self._bare = found["gs2"], found["bare"]
        self._nonce = found["nonce"] + self._nonce
        return Opening(name)

    def challenge(self, keys: ScramKeys) -> bytes:
        self._keys = keys
        salt = base64.b64encode(keys.salt)
        self._server_first = b"r=%s,s=%s,i=%d" % (self._nonce, salt, keys.iterations)
        return self._server_first

    def prove(self, message: bytes) -> Proof | Malformed:
        found = _CLIENT_FINAL.fullmatch(message)
        keys = self._keys
        if not found or keys is None:
            return Malformed("not the last message of a SCRAM client")
        try:
            binding = base64.b64decode(found["binding"], validate=True)
            proof = base64.b64decode(found["proof"], validate=True)
        except binascii.Error:
            return Malformed("not the last message of a SCRAM client")
        exchange = b",".join((self._bare, self._server_first, found["unproven"]))
        signature = _hmac(keys.stored_key, exchange)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        is_right = hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)
        is_right &= hmac.compare_digest(binding, self._gs2 + (self._binding or b""))
        is_right &= hmac.compare_digest(found["nonce"], self._nonce)
        return Proof(is_right, b"v=" + base64.b64encode(_hmac(keys.server_key, exchange)) if is_right else b"")

    def _fault_of_binding(self, flag: bytes, binding: bytes | None) -> str:
        if self._binding is None and binding is not None:
            return "channel binding belongs to the mechanism with -PLUS"
        if self._binding is not None and binding != BINDING:
            return "the channel binding here is tls-exporter"
        if flag == b"y" and self._is_plus_offered:
            return "channel binding is offered here, and the client was told that it is not"
        return ""


def _saslname(name: bytes) -> str | None:
    try:
        text = name.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if len(name) <= _LONGEST_NAME and (text.isprintable() or not text) else None


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
