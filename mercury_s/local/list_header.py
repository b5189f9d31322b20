"""The header of a message to a mailing list: what it must not have already, and what it gets (RFC 2369, 2919).

Bytes in, bytes out. Fields are kept as they came but for those that are a list's own to say. Not here: who may post,
who gets it (mailing_list.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from mercury_s.encoded_word import decode_words

#  Of a list that the message came through before, or of whoever pretends: there is one list now, and this is it.
_OURS_TO_SAY = frozenset(
    {b"list-id", b"list-post", b"list-unsubscribe", b"list-unsubscribe-post", b"list-owner", b"list-help",
     b"list-subscribe", b"list-archive", b"precedence"}
)  # fmt: skip

Field = tuple[bytes, bytes]
"""The name in lower case, and the field as it stands, its line ends included."""


def fields_of(head: bytes) -> list[Field]:
    """The fields of a header section with CRLF line ends; the empty line that ends it is none."""
    return list(_fields(head))


def _fields(head: bytes) -> Iterator[Field]:
    parts: list[bytes] = []
    for line in head.splitlines(keepends=True):
        if line in (b"\r\n", b"\n"):
            break
        if line[:1] in (b" ", b"\t") and parts:
            parts.append(line)
            continue
        if parts:
            yield _name(parts[0]), b"".join(parts)
        parts = [line]
    if parts:
        yield _name(parts[0]), b"".join(parts)


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


def value_of(field: bytes) -> bytes:
    """What stands behind the colon, unfolded."""
    return b" ".join(field.partition(b":")[2].split())


def has_list_id(fields: list[Field], list_id: str) -> bool:
    """Whether the message came through the list before (RFC 2919 §3)."""
    wanted = f"<{list_id}>".encode().lower()
    return any(name == b"list-id" and wanted in value_of(field).lower() for name, field in fields)


def is_automatic_reply(fields: list[Field]) -> bool:
    """RFC 3834 §5: nobody wrote it."""
    return any(
        name == b"auto-submitted" and value_of(field).lower().startswith(b"auto-replied") for name, field in fields
    )


def render_head(fields: list[Field], own: list[str], reply_to: str, tag: str) -> bytes:
    """The header section for the members, with the empty line. `own` are the list's fields; `reply_to`, an address,
    counts when the message has no Reply-To; `tag` goes before the subject."""
    kept = [_tagged(name, field, tag) for name, field in fields if name not in _OURS_TO_SAY]
    names = {name for name, _ in fields}
    added = list(own)
    if reply_to and b"reply-to" not in names:
        added.append(f"Reply-To: <{reply_to}>")
    if tag and b"subject" not in names:
        added.append(f"Subject: [{tag}]")
    lines = "".join(f"{line}\r\n" for line in added).encode()
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    return b"".join(kept) + lines + b"\r\n"


def _tagged(name: bytes, field: bytes, tag: str) -> bytes:
    if (
        not tag
        or name != b"subject"
        or f"[{tag}]".lower() in decode_words(value_of(field).decode("utf-8", "replace")).lower()
    ):
        return field  #  a mail program may have encoded our tag with the rest (RFC 2047)
    head, colon, value = field.partition(b":")
    return head + colon + f" [{tag}] ".encode() + value.lstrip(b" \t")
