"""Fixtures of the ingestion tests."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingestion.places import Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A source to be filled; which one, `promise` says."""
    with ExitStack() as stack:
        yield request.param(request, tmp_path, stack)
