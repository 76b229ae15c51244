"""Where things are, and what a command gave back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
AS_OF = "2026-01-14T02:00:00Z"


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout; fails if there is anything else."""
        return json.loads(self.out)
