"""What is kept and shown of what happens (`history:`)."""

from __future__ import annotations

from shared.config.scalars import Duration, Flag, Size
from shared.config.setting import Setting


class HistorySettings(Setting):
    """Seconds and octets; `size` is for all daemons together. `subjects`: whether those are kept too."""

    enabled: Flag = True
    keep: Duration = 30 * 86400.0
    size: Size = 1024 * 1024 * 1024
    subjects: Flag = False
