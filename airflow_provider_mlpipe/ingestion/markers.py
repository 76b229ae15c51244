"""``{start}`` and ``{end}`` in the configuration of a source: the bounds of what a run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.run import Run

__all__ = ["filled", "moments_of", "needs_interval"]


def moments_of(run: Run | None, as_of: datetime | None) -> dict[str, datetime | None]:
    """Return what each word between braces stands for: `end` is `as_of` if there is one; None if nothing says it."""
    interval = None if run is None else run.interval
    return {
        "start": None if interval is None else interval.start,
        "end": as_of if as_of is not None or interval is None else interval.end,
    }


def needs_interval(marker: str) -> str:
    """Return what is wrong with a marker that stands for nothing in this run."""
    return f"{marker} needs a data interval; this run has none"


def filled(text: str, moments: Mapping[str, datetime | None], refused: Callable[[str], Exception]) -> str:
    """Return `text` with the moments in ISO 8601 in place of the markers.

    Args:
        text: of the configuration.
        moments: see `moments_of`.
        refused: makes an error of what is wrong, for a marker that stands for nothing.
    """
    for word, moment in moments.items():
        marker = "{" + word + "}"
        if marker not in text:
            continue
        if moment is None:
            raise refused(needs_interval(marker))
        text = text.replace(marker, moment.isoformat())
    return text
