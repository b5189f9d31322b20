"""`mercury-c --config FILE`."""

from __future__ import annotations

from typing import NoReturn

from shared.config.model import Config
from shared.service.daemon import Daemon, run_daemon


def build(config: Config) -> Daemon:
    #  Here, so that nothing that looks for the reactor is imported before it is installed.
    from mercury_c.daemon import relaying_daemon

    return relaying_daemon(config)


def main() -> NoReturn:
    run_daemon("mercury-c", build)


if __name__ == "__main__":
    main()
