"""Fixtures of the admin tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from desk import CONFIG, Desk

from shared.spool.spool import Spool


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "mercury.yaml").write_text(CONFIG)
    spool = Spool(tmp_path / "spool", "mail.hq.example")
    spool.prepare()
    return Desk(tmp_path, spool)


@pytest.fixture
def tree(desk: Desk) -> Callable[[], dict[str, float]]:
    """Everything in the spool with its time: what a listing must leave as it was."""

    def look() -> dict[str, float]:
        return {str(path): path.stat().st_mtime for path in desk.spool.root.rglob("*")}

    return look
