"""Mail that programs of this host hand in (`receive.pickup`)."""

from __future__ import annotations

from shared.config.scalars import File, Flag, Several, Text
from shared.config.setting import Setting


class Pickup(Setting):
    """`folder` left out: beside the spool, its name with `-pickup`. `trusted`: accounts of this host that may send
    in any name, besides root and the account of the daemons. `enabled` false: nothing is taken from the folder."""

    enabled: Flag = True
    folder: File | None = None
    trusted: Several[Text] = ()
