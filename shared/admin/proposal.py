"""A configuration that is proposed: the text, and what is left for a person to do.

Pure. Not here: where the words come from (mercury_ini.py), and whether they are right (`mercury config check`).
"""

from __future__ import annotations

import json
import re

from shared.admin.mercury_ini import Draft, Line
from shared.admin.mercury_words import NO_EQUAL
from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Proposal:
    text: str
    """A configuration, to be read by a person first."""
    notes: tuple[str, ...]
    """What was not taken over and what is left to do, `line: what`, in the order of the file."""


def propose(draft: Draft) -> Proposal:
    said = [(number, f"line {number}: {words}") for number, words in draft.notes]
    said += [_left(heading, why, lines) for (heading, why), lines in draft.left.items()]
    notes = [words for _, words in sorted(said)]
    if draft.of_no_matter:
        notes.append(
            f"{_spans(draft.of_no_matter)}: folders, windows and the pace of that program; nothing is to be done"
        )
    if draft.hostname == "localhost":
        notes.append("the host was called localhost: set hostname to the name that other servers know it by")
    notes += [f"put into the file aliases: {alias}" for alias in draft.aliases]
    if draft.login:
        notes.append("put the password into secrets/mercury-c/smarthost, mode 0600; it was not copied")
    if not draft.domains:
        notes.append("no local domain was found: add it to local.domains")
    if not draft.networks:
        notes.append(
            "no networks of clients were found: add them to sites.office.networks, or nobody sends without login"
        )
    if _has_submission(draft):
        notes.append("put the certificate and its key (PEM) into tls/cert.pem and tls/key.pem, or name others in tls")
    return Proposal(_render(draft), tuple(notes))


def _left(heading: str, why: str, lines: list[Line]) -> tuple[int, str]:
    #  Never a value: it may be a password.
    is_whole = why == NO_EQUAL.get(heading.lower(), {}).get("")
    words = "" if is_whole else ", ".join(dict.fromkeys(line.word or "a line without a keyword" for line in lines))
    reason = f"not taken over: {why}" if why else "not known here, and not taken over"
    name = f"[{heading}] {words}".strip()
    return lines[0].number, f"{_spans([line.number for line in lines])}: {name}: {reason}"


def _spans(numbers: list[int]) -> str:
    """`line 3`, or `lines 3, 5-9`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return f"line{'s' if len(numbers) > 1 else ''} " + ", ".join("-".join(map(str, span)) for span in spans)


def _has_submission(draft: Draft) -> bool:
    return not {"587", "465"}.isdisjoint(draft.listen.values())


def _render(draft: Draft) -> str:
    lines = ["# Proposed from MERCURY.INI. Read it, and the notes, before it is used."]
    if draft.hostname:
        lines.append(f"hostname: {_word(draft.hostname)}")
    if draft.domains:
        lines.append(f"local: {{domains: {_words(draft.domains)}}}")
    if _has_submission(draft):
        lines.append("tls: {certificate: tls/cert.pem, key: tls/key.pem}")
    if draft.servers:
        lines.append(f"dns: {{servers: {_words(draft.servers)}}}")
    return "\n".join([*lines, *_render_receive(draft), *_render_site(draft)]) + "\n"


def _render_receive(draft: Draft) -> list[str]:
    lines = []
    address = draft.listen.get("interface", "")
    where = f", address: {_word(address)}" if address and address != "0.0.0.0" else ""
    ports = [draft.listen.get("port") or "25", draft.listen.get("altport", ""), draft.listen.get("sslport", "")]
    if where or [port for port in ports if port] != ["25"]:
        lines.append("  listeners:")
        lines += [f"    - {{port: {_number(port)}{where}}}" for port in dict.fromkeys(ports) if port and port != "0"]
    if draft.size:
        lines.append(f"  max_message_size: {_number(draft.size)}")
    if draft.refused:
        lines += ["  rules:", f"    - {{networks: {_words(draft.refused)}, action: refuse}}"]
    return ["receive:", *lines] if lines else []


def _render_site(draft: Draft) -> list[str]:
    is_relay = bool(draft.smarthosts) and not ("mercurye" in draft.modules and "mercuryc" not in draft.modules)
    word = "relay" if is_relay else "direct" if "mercurye" in draft.modules else "hold"
    lines = ["sites:", "  office:"]
    if draft.networks:
        lines.append(f"    networks: {_words(draft.networks)}")
    lines.append(f"    delivery: {word}")
    if draft.smarthosts:
        lines.append("    smarthosts:")
    for host in draft.smarthosts:
        terms = [f"host: {_word(host)}"]
        terms += [f"port: {_number(draft.port)}"] if draft.port else []
        terms += [f"helo: {_word(draft.helo)}"] if draft.helo else []
        if draft.login:
            terms += [f"login: {_word(draft.login)}", "password_file: secrets/mercury-c/smarthost"]
        lines.append(f"      - {{{', '.join(terms)}}}")
    return lines


def _word(text: str) -> str:
    """As YAML: plain where it can be nothing else, otherwise in quotes."""
    plain = re.fullmatch(r"[A-Za-z][\w.-]*|[0-9]+(\.[0-9]+){3}", text)
    return text if plain and text.lower() not in ("true", "false", "null") else json.dumps(text)


def _number(text: str) -> str:
    """A number as it is; anything else in quotes, and `config check` says what is wrong with it."""
    return text if re.fullmatch(r"[0-9]+[KMG]?", text) else json.dumps(text)


def _words(texts: list[str]) -> str:
    return "[" + ", ".join(text if re.fullmatch(r"[0-9./]+", text) else _word(text) for text in texts) + "]"
