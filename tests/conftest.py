"""What all tests share: the folder of this file on the path, so that `from fakes.spools import ...` works anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
