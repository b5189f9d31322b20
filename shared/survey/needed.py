"""Which daemons a host needs by its configuration. Pure; not here: whether they run, and what waits for them."""

from __future__ import annotations

from shared.config.model import Config
from shared.routing.site import Delivery, SiteWord


def needed_daemons(config: Config) -> frozenset[str]:
    """Daemons without which mail of this host would not go its way."""
    site = config.sites.get(config.site)
    needed = {"mercury-s"}
    ways = {route.deliver for route in config.routes}
    if (site and site.delivery in (SiteWord.RELAY, SiteWord.AUTO)) or Delivery.RELAY in ways:
        needed.add("mercury-c")
    is_overlaid = any(other.overlay for name, other in config.sites.items() if name != config.site)
    if is_overlaid or any(route.via for route in config.routes):
        needed.add("mercury-c")
    if (site and site.delivery in (SiteWord.DIRECT, SiteWord.AUTO)) or Delivery.DIRECT in ways:
        needed.add("mercury-e")
    return frozenset(needed)
