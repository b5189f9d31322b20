"""What `mercury queue check` says of a spool when the daemons are down."""

from __future__ import annotations

from mailsite import Site


def mend(site: Site) -> int:
    """Repair all there is, and look again: it is sound then. How many things were mended."""
    command = ("queue", "check", "--leftovers-after", "0s", "--json")
    mended = site.mercury(*command, "--repair")
    assert mended.returncode == 0, f"not everything could be mended: {mended.stdout[-2000:]}{mended.stderr[-2000:]}"
    again = site.mercury(*command)
    assert again.returncode == 0 and not again.stdout, (
        f"not sound after its repair: {again.stdout[-2000:]}{again.stderr}"
    )
    return len(mended.stdout.splitlines())
