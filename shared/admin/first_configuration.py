"""The first configuration of a host, from five answers, as text with comments. Pure.

It is short on purpose: what is not in it has its default, and etc/mercury.yaml shows all there is.
"""

from __future__ import annotations

import json

from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Answers:
    """`way` is relay, direct, auto or hold. `smarthost` is `host` or `host:port`; with a `login`, `password_file` is
    named, relative to the file or absolute."""

    hostname: str
    domains: tuple[str, ...]
    networks: tuple[str, ...]
    way: str
    smarthost: str = ""
    login: str = ""
    password_file: str = ""


def render(answers: Answers) -> str:
    """mercury.yaml. Values are quoted as JSON where they came from a person, which is YAML, too."""
    lines = [
        "# The configuration of Mercury, made by `mercury config init`. What does not stand here has its default:",
        "#     mercury config show --effective     every setting in force, and where it came from",
        "#     mercury config explain KEY          what it means",
        "#     mercury config check                after each change; then: mercury reload",
        "",
        "# What this host is called in greetings and trace lines.",
        f"hostname: {_quoted(answers.hostname)}",
        "",
        "local:",
        "  # Mail for these domains stays here, in the mailboxes made by `mercury user add ADDRESS`.",
        f"  domains: {_list(answers.domains)}",
        "",
        "# To offer TLS, and logins on port 587, name a certificate and take the # away.",
        "#tls: {certificate: tls/cert.pem, key: tls/key.pem}",
        "#receive:",
        "#  listeners:",
        "#    - {port: 25, kind: mx}",
        "#    - {port: 587, kind: submission}",
        "",
        "sites:",
        "  here:",
        *_networks(answers.networks),
        "    # How its mail to other domains leaves: relay (through smarthosts), direct (to the servers of the",
        "    # recipients' domains), auto (direct, and by the smarthosts while port 25 is blocked), or hold.",
        f"    delivery: {answers.way}",
        *_smarthost(answers),
    ]
    return "\n".join(lines) + "\n"


def _networks(networks: tuple[str, ...]) -> list[str]:
    if not networks:
        return [
            "    # Who may send mail to other domains without a login; nobody yet.",
            "#    networks: [192.168.1.0/24]",
        ]
    return ["    # Who may send mail to other domains without a login.", f"    networks: {_list(networks)}"]


def _smarthost(answers: Answers) -> list[str]:
    if not answers.smarthost:
        return []
    host, _, port = answers.smarthost.partition(":")
    parts = [f"host: {_quoted(host)}"]
    if port:
        parts.append(f"port: {port}")
    if answers.login:
        parts += [f"login: {_quoted(answers.login)}", f"password_file: {_quoted(answers.password_file)}"]
    return [
        "    # The certificate of a smarthost is verified. A port left out is found by the DNS, else it is 587.",
        "    smarthosts:",
        f"      - {{{', '.join(parts)}}}",
    ]


def _list(words: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
