"""The language definition's cases are no part of the project: without them, no tests of them."""

from __future__ import annotations

from tests.unit.cel.cases import CASES

collect_ignore = [] if CASES.is_dir() else ["test_conformance_cases.py"]
