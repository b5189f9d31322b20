"""The configuration as a whole. Attribute names are the names in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from shared.config.listeners import Receive
from shared.config.local import Certificates, Local
from shared.config.oauth import OAuth
from shared.config.observing import HistorySettings, MetricsSettings
from shared.config.scalars import File, Hostname, Text, empty_is_default
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
    local: Annotated[Local, BeforeValidator(empty_is_default)] = section()
    tls: Annotated[Certificates, BeforeValidator(empty_is_default)] = section()
    receive: Annotated[Receive, BeforeValidator(empty_is_default)] = section()
    sites: Annotated[dict[str, SiteSettings], BeforeValidator(empty_is_default)] = section()
    routes: tuple[RouteSettings, ...] = ()
    oauth: Annotated[dict[str, OAuth], BeforeValidator(empty_is_default)] = section()
    retry: Annotated[Retry, BeforeValidator(empty_is_default)] = section()
    queue: Annotated[Queue, BeforeValidator(empty_is_default)] = section()
    control: Annotated[Control, BeforeValidator(empty_is_default)] = section()
    reports: Annotated[Reports, BeforeValidator(empty_is_default)] = section()
    dns: Annotated[Dns, BeforeValidator(empty_is_default)] = section()
    direct: Annotated[Direct, BeforeValidator(empty_is_default)] = section()
    auto: Annotated[Auto, BeforeValidator(empty_is_default)] = section()
    preflight: Annotated[Preflight, BeforeValidator(empty_is_default)] = section()
    history: Annotated[HistorySettings, BeforeValidator(empty_is_default)] = section()
    metrics: Annotated[MetricsSettings, BeforeValidator(empty_is_default)] = section()
    web: Annotated[WebSettings, BeforeValidator(empty_is_default)] = section()

    @property
    def pickup_folder(self) -> Path:
        """Where programs of this host hand mail in."""
        return self.receive.pickup.folder or self.spool.with_name(f"{self.spool.name}-pickup")
