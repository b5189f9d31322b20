"""`mercury-s --config FILE`."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from shared.config.model import Config
    from shared.service.daemon import Daemon
    from shared.service.seat import Seat


def build(config: Config) -> Daemon:
    #  Here, so that nothing that looks for the reactor is imported before it is installed.
    from mercury_s.daemon import ReceivingDaemon

    return ReceivingDaemon(config)


def build_worker(config: Config, seat: Seat) -> Daemon:
    from mercury_s.daemon import ReceivingDaemon

    return ReceivingDaemon(config, seat)


def main() -> NoReturn:
    #  What a start makes stays for good: the collector, which would look through it again and again, wakes when it
    #  is done (settle_down in life.py).
    gc.disable()
    from shared.service.daemon import run_daemon, run_worker

    if sys.argv[1:2] == ["--worker"]:
        run_worker("mercury-s", int(sys.argv[2]), build_worker)
    run_daemon("mercury-s", build)


if __name__ == "__main__":
    main()
