"""What is kept and shown of what happens (`history:`, `metrics:`)."""

from __future__ import annotations

from typing import Annotated

from shared.config.problem import shown
from shared.config.scalars import Duration, Flag, Size, is_ip, parse_text
from shared.config.setting import Parsed, Setting


class HistorySettings(Setting):
    """Seconds and octets; `size` is for all daemons together. `subjects`: whether those are kept too."""

    enabled: Flag = True
    keep: Duration = 30 * 86400.0
    size: Size = 1024 * 1024 * 1024
    subjects: Flag = False


def parse_listen(value: object) -> str:
    """`address:port`, or a port alone, which is one of this host only."""
    text = str(value) if type(value) is int else parse_text(value)
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
    if not is_ip(host) or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(text)} is no address with a port, like 127.0.0.1:9925 or [::1]:9925")
    return f"[{host}]:{int(port)}" if ":" in host else f"{host}:{int(port)}"


class MetricsSettings(Setting):
    """`listen` empty: nothing is counted."""

    listen: Annotated[str, Parsed(parse_listen)] = ""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
