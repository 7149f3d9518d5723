"""Where the language definition's cases lie: beside the project, or where CASES says."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
CASES = (ROOT / os.environ.get("CASES", "../shared/conformance")).resolve()
