"""What one end-to-end test has around it: sites and far ends, and the order in which they are cleared away."""

from __future__ import annotations

from pathlib import Path

from mailsite import Site
from peers import FarEnd, NameServer, SmtpSink

#  Two loopback addresses of the far end, so that direct delivery has hosts to choose from on one port.
FAR_ADDRESSES = ("127.0.0.21", "127.0.0.22")


class Stage:
    """What a test has started; `clear` ends it, sites before the peers they talk to."""

    def __init__(self) -> None:
        self._sites: list[Site] = []
        self._peers: list[FarEnd | SmtpSink | NameServer] = []

    def site(self, root: Path) -> Site:
        site = Site(root)
        self._sites.append(site)
        return site

    def peer(self, peer: FarEnd | SmtpSink | NameServer) -> None:
        self._peers.append(peer)
        peer.start()

    def clear(self) -> None:
        try:
            for site in self._sites:
                site.stop()
                assert "Traceback (most recent call last)" not in site.logs(), site.recent_logs()
        finally:
            for site in self._sites:
                site.kill("".join(site.daemons))
            for peer in self._peers:
                peer.stop()
