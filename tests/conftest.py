"""What all tests share: the folder of this file on the path, so that `from fakes.spools import ...` works anywhere, and
properties that are checked with fixed seeds and never judged by the clock."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#  A busy machine is no fault of the code: the first example of a fresh checkout alone takes seconds there.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture(autouse=True)
def umask_as_before() -> Iterator[None]:
    """A command that a test calls in this process sets its umask; the next test's server of another account shall be
    able to read its files all the same."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
