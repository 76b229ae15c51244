"""A first validation_config.yaml from data: every rule holds on it, and says beside itself what it was seen in.

What the data can hardly show by chance (types, no nulls, keys) blocks; what is a guess (ranges, categories, freshness)
warns, until somebody who knows the data has read it.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, get_args

from airflow_provider_mlpipe.config import LogicalType
from airflow_provider_mlpipe.validation.distributions import NUMBERS
from airflow_provider_mlpipe.validation.keys import MIN_ROWS
from airflow_provider_mlpipe.validation.wording import number, plural, share, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_mlpipe.validation.profile import ColumnProfile
    from airflow_provider_mlpipe.validation.survey import Survey

__all__ = ["proposed", "scalar"]

MAX_CATEGORIES = 20
ROWS_PER_CATEGORY = 20
"""A value list is proposed if values stand in so many rows on average; else the next day brings new ones."""

MAX_EMPTY = 0.2
"""A column with more nulls than this gets no rule on them."""

MARGIN = 0.1
ROWS_FOR_DISTRIBUTION = 1000
MAX_STALE_HOURS = 24 * 30
_HOURS = (1, 2, 3, 6, 12, 24, 36, 48, 72, 96, 120, 168, 240, 336, 504, 720, 1440, 2160, 4320, 8760, 17520)
_WIDEST = 96
"""Evidence stands below each other behind lines up to this width."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([ ./-][A-Za-z0-9_]+)*")
_MEANS_SOMETHING = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_ESCAPED = re.compile(r"[^\x20-\x7e\xa0-\u1fff\u2030-\ud7ff]")
_VARIABLE = re.compile(r"\$(?=\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\})")

Line = tuple[str, str]
"""YAML and its evidence."""


def proposed(survey: Survey, *, reference: str | None = None) -> str:
    """Return the YAML.

    Args:
        survey: what there is in the data.
        reference: the path of its stored profile, as seen from the YAML's folder; without one no drift is proposed.
    """
    sections = {
        "schema": list(_schema(survey)),
        "required_columns": list(_required(survey)),
        "unique_columns": list(_unique(survey)),
        "range_constraints": list(_ranges(survey)),
        "categorical_constraints": list(_categories(survey)),
        "distribution": list(_drifts(survey, reference)) if reference else [],
    }
    lines: list[str] = []
    for name, entries in sections.items():
        if entries:
            lines += [f"  {name}:", *_aligned(entries, "    ")]
    lines += _aligned(list(_freshness(survey)), "  ")
    if not survey.rows:
        lines.append("  allow_empty: true  # there was no row to learn from")
    # A mapping of nothing but comments would be null.
    opening = f"{scalar(survey.dataset)}:" + ("" if any(sections.values()) or not survey.rows else " {}")
    return "\n".join([*_head(survey), opening, *lines]) + "\n"


def _head(survey: Survey) -> Iterator[str]:
    seen = "" if survey.as_of is None else f" as of {when(survey.as_of)}"
    about = f"{plural(survey.rows, 'row')} of {survey.dataset} ({survey.stage}), {survey.fingerprint}{seen}"
    yield f"# Proposed by `mlpipe profile` from {_ESCAPED.sub('?', about)}."
    yield "# Every rule holds on those rows. It is a start: widen what may grow, delete what is chance."


def _aligned(entries: Sequence[Line], indent: str) -> Iterator[str]:
    """Yield lines with their evidence as comments below each other."""
    width = max((len(text) for text, _ in entries if len(text) <= _WIDEST), default=0)
    for text, why in entries:
        if not why:
            yield f"{indent}{text}"
        else:
            yield f"{indent}{text.ljust(width)}  # {why}" if text else f"{indent}# {why}"


def _schema(survey: Survey) -> Iterator[Line]:
    known = get_args(LogicalType)
    for name, column in survey.columns.items():
        if column.type in known:
            yield f"{scalar(name)}: {column.type}", ""


def _required(survey: Survey) -> Iterator[Line]:
    """Propose what is never, or seldom, empty."""
    for name, column in survey.columns.items():
        if not survey.rows or column.nulls is None:
            continue
        why = f"{column.nulls:,} of {survey.rows:,} null"
        empty = column.nulls / survey.rows
        if not column.nulls:
            yield f"- {_value(name)}", why
        elif empty <= MAX_EMPTY:
            mostly = math.floor((1 - 1.5 * empty) * 100) / 100
            yield f"- {{column: {_value(name)}, mostly: {mostly}, severity: WARNING}}", f"{why} ({share(empty)})"


def _unique(survey: Survey) -> Iterator[Line]:
    for key in survey.keys:
        names = _value(key[0]) if len(key) == 1 else f"[{', '.join(map(_value, key))}]"
        yield f"- {names}", f"{survey.rows:,} different in {survey.rows:,} rows"


def _ranges(survey: Survey) -> Iterator[Line]:
    """Propose bounds with a margin, in round numbers; 0 stays a bound if nothing is below."""
    for name, column in survey.columns.items():
        if column.type not in NUMBERS or name in survey.sensitive or (name,) in survey.keys:
            continue
        seen = _extremes(column)
        if seen is None or survey.rows < MIN_ROWS:
            continue
        low, high = _bounds(*seen, whole=column.type == "int")
        bounds = f"{{min: {low}, max: {high}, severity: WARNING}}"
        told = " to ".join(dict.fromkeys(map(number, seen)))
        yield f"{scalar(name)}: {bounds}", f"{told} seen"


def _extremes(column: ColumnProfile) -> tuple[float, float] | None:
    """Return the extremes as numbers; None if there are none that arithmetic is safe with."""
    try:
        low, high = float(column.low), float(column.high)
    except (TypeError, ValueError, OverflowError):
        return None
    return (low, high) if all(math.isfinite(bound) and abs(bound) < 1e15 for bound in (low, high)) else None


def _bounds(low: float, high: float, *, whole: bool = False) -> tuple[str, str]:
    """Return rounded bounds outside of `low` and `high`.

    >>> _bounds(0.25, 35.7), _bounds(-480.0, 780.0), _bounds(0.0, 0.93), _bounds(0.0, 2.0, whole=True)
    (('0', '40'), ('-610', '910'), ('0', '1'), ('0', '3'))
    """
    if low >= 0 and MARGIN < high <= 1:
        return "0", "1"
    margin = MARGIN * ((high - low) or abs(high) or 1.0)
    under = 0.0 if low >= 0 else _rounded(low - margin, up=False)
    over = 0.0 if high <= 0 < high + margin else _rounded(high + margin, up=True)
    if whole:
        under, over = math.floor(under), math.ceil(over)
    return _plain_number(under), _plain_number(over)


def _rounded(value: float, *, up: bool) -> float:
    """Return a number of two digits that is not less (or not more) than `value`."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return (math.ceil if up else math.floor)(value / unit) * unit


def _plain_number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.12g}"


def _categories(survey: Survey) -> Iterator[Line]:
    """Propose the list of values of texts that have few, each in many rows."""
    for name, found in survey.distributions.items():
        values = found.get("values", [])
        complete = len(found["weights"]) == len(values) <= MAX_CATEGORIES
        if survey.columns[name].type != "string" or not values or not complete:
            continue
        count = sum(found["weights"])
        if count >= ROWS_PER_CATEGORY * len(values):
            listed = ", ".join(map(_value, sorted(values)))
            why = f"{len(values)} different in {count:,} values"
            yield f"{scalar(name)}: {{values: [{listed}], severity: WARNING}}", why


def _drifts(survey: Survey, reference: str | None) -> Iterator[Line]:
    if survey.rows < ROWS_FOR_DISTRIBUTION:
        return
    for name, found in survey.distributions.items():
        if len(found["weights"]) > 1:
            kind = f"{len(found['weights'])} bins" if "bins" in found else f"{len(found['values'])} values"
            yield f"{scalar(name)}: {{reference: {_value(reference or '')}, severity: WARNING}}", kind


def _freshness(survey: Survey) -> Iterator[Line]:
    """Propose the age that the habit of the past allows, or say why none."""
    seen = survey.cadence
    if survey.as_of is None:
        yield "", "freshness: not proposed, as it is not known when this data was current; give --as-of"
        return
    if seen is None or seen.gaps < 2:
        return
    if seen.age_hours > MAX_STALE_HOURS:
        age = f"{seen.age_hours / 24:,.0f} days older than {when(survey.as_of)}"
        yield "", f"freshness: not proposed, the newest {json.dumps(seen.column)} is {age}"
        return
    wanted = max(2 * seen.usual_hours, 1.5 * seen.age_hours, 1.0)
    limit = next((hours for hours in _HOURS if hours >= wanted), math.ceil(wanted))
    why = f"{plural(seen.gaps, 'gap')}: 99 % up to {number(round(seen.usual_hours, 1))} h, the longest "
    why += f"{number(round(seen.longest_hours, 1))} h; newest {number(round(seen.age_hours, 1))} h old"
    yield f"freshness: {{timestamp_column: {_value(seen.column)}, max_age_hours: {limit}, severity: WARNING}}", why


def _value(value: str) -> str:
    """Return a value as a scalar; unlike in a key, ``${`` in it would be read as a variable."""
    return scalar(_VARIABLE.sub("$$", value))


def scalar(text: str) -> str:
    r"""Return a text as a YAML scalar that is read as this text, whatever it looks like.

    >>> scalar("in progress"), scalar("no"), scalar("2026-01-14"), scalar('a: "b"')
    ('in progress', '"no"', '"2026-01-14"', '"a: \\"b\\""')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _MEANS_SOMETHING:
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_ESCAPED.sub(_escape, quoted)}"'


def _escape(match: re.Match[str]) -> str:
    point = ord(match[0])
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
