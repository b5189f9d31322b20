"""`mercury-e --config FILE`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from shared.config.model import Config
    from shared.service.daemon import Daemon


def build(config: Config) -> Daemon:
    #  Here, so that nothing that looks for the reactor is imported before it is installed.
    from mercury_e.daemon import direct_daemon

    return direct_daemon(config)


def main() -> NoReturn:
    #  What a start makes stays for good: the collector, which would look through it again and again, wakes when it
    #  is done (settle_down in life.py).
    gc.disable()
    from shared.service.daemon import run_daemon

    run_daemon("mercury-e", build)


if __name__ == "__main__":
    main()
