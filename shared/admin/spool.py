"""The spool of the configuration, as the commands open it."""

from __future__ import annotations

import socket

from shared.admin.command import Office
from shared.spool.spool import Spool


def spool_of(office: Office) -> Spool:
    #  The node's name as the daemons of this host have it, so that each knows the other's locks.
    return Spool(office.config.spool, socket.gethostname())
