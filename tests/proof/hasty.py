"""A daemon whose heart beats four times as fast, which looks for the mail of others four times as often, and takes them
for dead after half the time.

    python hasty.py mercury_s --config FILE

For the usual run of the tests, to which a minute is long; `make proof` has the daemons as they are.
"""

from __future__ import annotations

import runpy
import sys

from shared.spool import owner, watch

#  Not a quarter: on a busy machine a living one may be late by some seconds.
owner.STALE_AFTER /= 2
owner.BEAT_EVERY /= 4
#  Looks may still be late on a busy machine: how far apart they may be stays.
owner.LOOK_EVERY /= 4
watch.SCAN_EVERY /= 4

if __name__ == "__main__":
    runpy.run_module(sys.argv.pop(1), run_name="__main__")
