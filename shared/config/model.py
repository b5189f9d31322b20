"""The configuration as a whole. Attribute names are the names in the file."""

from __future__ import annotations

from pathlib import Path

from shared.config.listeners import Receive
from shared.config.local import Certificates, Local
from shared.config.oauth import OAuth
from shared.config.observing import HistorySettings, MetricsSettings
from shared.config.scalars import File, Hostname, Text
from shared.config.sending import Auto, Control, Direct, Dns, Preflight, Queue, Reports, Retry
from shared.config.setting import Setting, section
from shared.config.sites import RouteSettings, SiteSettings
from shared.config.web import WebSettings


class Config(Setting):
    """Frozen. `site` left out: the only site there is. `hostname` left out: what the host calls itself."""

    hostname: Hostname
    site: Text = ""
    spool: File = Path("/var/spool/mercury")
    state: File = Path("/var/lib/mercury")
    run: File = Path("/run/mercury")
    local: Local = section()
    tls: Certificates = section()
    receive: Receive = section()
    sites: dict[str, SiteSettings] = section()
    routes: tuple[RouteSettings, ...] = ()
    oauth: dict[str, OAuth] = section()
    retry: Retry = section()
    queue: Queue = section()
    control: Control = section()
    reports: Reports = section()
    dns: Dns = section()
    direct: Direct = section()
    auto: Auto = section()
    preflight: Preflight = section()
    history: HistorySettings = section()
    metrics: MetricsSettings = section()
    web: WebSettings = section()

    @property
    def pickup_folder(self) -> Path:
        """Where programs of this host hand mail in."""
        return self.receive.pickup.folder or self.spool.with_name(f"{self.spool.name}-pickup")
