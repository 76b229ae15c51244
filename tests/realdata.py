"""Real data, where it lies beside the repository: four open-source projects' histories as a project tracker."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["TRACKER", "needs_tracker"]

TRACKER = Path(__file__).parents[2] / "shared" / "data" / "tracker"

needs_tracker = pytest.mark.skipif(not TRACKER.is_dir(), reason="the tracker data is not beside this repository")
