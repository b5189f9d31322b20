"""What the tests of this room share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def closed_umask() -> Iterator[None]:
    """As the daemons have it: how files are made is mode 0660, less the umask."""
    before = os.umask(0o077)
    yield
    os.umask(before)
