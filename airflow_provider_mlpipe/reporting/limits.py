"""How much a page shows: all of it if it fits, else less and less of what matters least, and the page says so."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_BYTES", "STEPS", "Limits"]

MAX_BYTES = 300_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a page shows at most.

    Attributes:
        cards: rules that failed, in full.
        rules: rules that held, and rules that were skipped, one line each.
        columns: one line each, those with failures first if there are more.
        pictures: whether columns have histograms.
        text: characters of a sentence.
    """

    cards: int = 40
    rules: int = 200
    columns: int = 200
    pictures: bool = True
    text: int = 1000


STEPS = (
    Limits(),
    Limits(rules=100, columns=120),
    Limits(rules=60, columns=100, text=500),
    Limits(cards=25, rules=40, columns=60, pictures=False, text=400),
    Limits(cards=10, rules=20, columns=30, pictures=False, text=200),
    Limits(cards=3, rules=5, columns=10, pictures=False, text=100),
)
