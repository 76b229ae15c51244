"""Small pictures in SVG, without styles or scripts: histograms, one square per run, lines of values, bars of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.reporting.markup import Safe, join, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["histogram", "line", "run_bars", "squares"]

WIDTH, HEIGHT = 120, 30
STEP, SQUARE = 8, 6
LINE_HEIGHT = 28

_COLOURS = {"p": "good", "f": "bad", "e": "bad", "s": "track", "-": "track"}


def histogram(counts: Sequence[float], *, label: str, kind: str = "now", reference: Sequence[float] = ()) -> Safe:
    """Return bars, and the reference as steps over them.

    Args:
        counts: one per bin; shares if there is a reference.
        label: the same in words.
        kind: the colour.
        reference: the share of each bin that was to be expected.
    """
    top = max([*counts, *reference], default=0) or 1
    width = WIDTH / len(counts)
    gap = min(1.0, width / 5)
    bars = "".join(
        f"M{_short(place * width)} {HEIGHT}V{_height(count, top)}h{_short(width - gap)}V{HEIGHT}z"
        for place, count in enumerate(counts)
        if count > 0
    )
    steps = "".join(
        f"{'L' if place else 'M'}{_short(place * width)} {_height(share, top)}h{_short(width - gap)}"
        for place, share in enumerate(reference)
    )
    paths = [tag("path", d=bars, class_=f"fill-{kind}")]
    if steps:
        paths.append(tag("path", d=steps, class_="steps"))
    return _picture(join(*paths), WIDTH, HEIGHT, class_="hist", label=label)


def squares(statuses: str, now: str, *, label: str) -> Safe:
    """Return one square per earlier run and a taller one for this run, coloured by what became of the rule."""
    drawn: dict[str, list[str]] = {}
    for place, letter in enumerate(statuses):
        path = f"M{place * STEP} 3h{SQUARE}v{SQUARE}h-{SQUARE}z"
        drawn.setdefault(_COLOURS.get(letter, "track"), []).append(path)
    place = len(statuses) * STEP
    drawn.setdefault(_COLOURS.get(now, "track"), []).append(f"M{place} 0h{SQUARE}v12h-{SQUARE}z")
    paths = [tag("path", d="".join(parts), class_=f"fill-{colour}") for colour, parts in drawn.items()]
    width = place + SQUARE
    return _picture(join(*paths), width, 12, class_="squares", label=label, width=width, height=12)


def line(values: Sequence[float | None], *, label: str) -> Safe:
    """Return a line through the values, oldest first, with a dot at the last; a gap where there is none."""
    known = [value for value in values if value is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    span = (high - low) or 1.0
    path, pen = "", "M"
    x = y = 0.0
    for place, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x, y = place * STEP + SQUARE / 2, 3 + (LINE_HEIGHT - 6) * (1 - (value - low) / span)
        path += f"{pen}{_short(x)} {_short(y)}"
        pen = "L"
    dot = f"M{_short(x - 2.5)} {_short(y)}a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0"
    paths = join(tag("path", d=path, class_="line"), tag("path", d=dot, class_="fill-text"))
    width = max(len(values) * STEP, STEP)
    return _picture(paths, width, LINE_HEIGHT, class_="values", label=label, width=width, height=LINE_HEIGHT)


def run_bars(runs: Sequence[Mapping[str, object]], *, label: str) -> Safe:
    """Return one bar per run, as high as it has rows, coloured by its verdict; each names itself when pointed at.

    Args:
        runs: ``rows``, ``kind`` (the colour) and ``title`` of each, oldest first.
        label: the same in words.
    """
    top = max((float(str(run["rows"])) for run in runs), default=0.0) or 1.0
    bars = []
    for place, run in enumerate(runs):
        height = max(48 * float(str(run["rows"])) / top, 1.5)
        path = tag("path", d=f"M{place * 16} {_short(50 - height)}h12V50h-12z", class_=f"fill-{run['kind']}")
        bars.append(tag("g", tag("title", str(run["title"])), path))
    return _picture(join(*bars), len(runs) * 16 - 4, 50, class_="runs", label=label)


def _picture(content: Safe, wide: float, high: float, *, label: str, class_: str, **size: float) -> Safe:
    stretched = None if size else "none"
    return tag(
        "svg", content, class_=class_, role="img", aria_label=label, viewBox=f"0 0 {_short(wide)} {_short(high)}",
        preserveAspectRatio=stretched, **size,
    )  # fmt: skip


def _height(count: float, top: float) -> str:
    """Return where a bar begins; one that is there at all is seen."""
    return _short(HEIGHT - max((HEIGHT - 2) * count / top, 1.0 if count > 0 else 0.0))


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
