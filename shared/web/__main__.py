"""`mercury-web --config FILE`."""

from __future__ import annotations

from typing import NoReturn

from shared.config.model import Config
from shared.service.daemon import Daemon, StartTrouble, run_daemon


def build(config: Config) -> Daemon:
    if not config.web.listen:
        do = "say `web: {listen: ..., operators: [...]}` in the configuration (docs/page.md), and start this again"
        raise StartTrouble("serve the status page: it is off, as `web.listen` is not set", do, by_configuration=True)
    #  Here, so that nothing that looks for the reactor is imported before it is installed.
    from shared.web.daemon import WebDaemon

    return WebDaemon(config)


def main() -> NoReturn:
    run_daemon("mercury-web", build, is_onlooker=True)


if __name__ == "__main__":
    main()
