"""`mercury-s --config FILE`."""

from __future__ import annotations

import sys
from typing import NoReturn

from shared.config.model import Config
from shared.service.daemon import Daemon, run_daemon, run_worker
from shared.service.seat import Seat


def build(config: Config) -> Daemon:
    #  Here, so that nothing that looks for the reactor is imported before it is installed.
    from mercury_s.daemon import ReceivingDaemon

    return ReceivingDaemon(config)


def build_worker(config: Config, seat: Seat) -> Daemon:
    from mercury_s.daemon import ReceivingDaemon

    return ReceivingDaemon(config, seat)


def main() -> NoReturn:
    if sys.argv[1:2] == ["--worker"]:
        run_worker("mercury-s", int(sys.argv[2]), build_worker)
    run_daemon("mercury-s", build)


if __name__ == "__main__":
    main()
