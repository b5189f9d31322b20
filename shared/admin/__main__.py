"""The `mercury` command. Its nouns are loaded when they are used, so that each starts quickly."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

EXIT_TROUBLE = 1
#  Objects made before the collector looks for cycles: what is imported stays, and most commands end soon.
_COLLECT_AFTER = 100_000


def main() -> NoReturn:
    gc.set_threshold(_COLLECT_AFTER)
    from shared.admin.command import mercury
    from shared.mail.reply import printable
    from shared.service.trouble import line_of

    try:
        mercury(prog_name="mercury")
    except PermissionError as error:
        said = f"cannot use {error.filename}: {error.strerror}; run this as root, or as a member of the spool's group"
        print(printable(f"mercury: {said}"), file=sys.stderr)
        sys.exit(EXIT_TROUBLE)
    except OSError as error:
        #  A folder we may not read, a disk that fails: for the person it is a line, not a traceback.
        print(line_of("mercury", error), file=sys.stderr)
        sys.exit(EXIT_TROUBLE)
    sys.exit(0)


if __name__ == "__main__":
    main()
