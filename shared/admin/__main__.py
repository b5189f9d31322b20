"""The `mercury` command. Its nouns are loaded when they are used, so that each starts quickly."""

from __future__ import annotations

import sys
from typing import NoReturn

from shared.admin.command import mercury


def main() -> NoReturn:
    mercury(prog_name="mercury")
    sys.exit(0)


if __name__ == "__main__":
    main()
