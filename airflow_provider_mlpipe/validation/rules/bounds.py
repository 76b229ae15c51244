"""Two bounds, both inclusive: reading them from the YAML and putting them into words."""

from __future__ import annotations

import math
from datetime import datetime

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.wording import number, when

__all__ = ["Bound", "bounds_in_words", "read_bounds"]

Bound = float | datetime | None
"""A number or an instant; None is no bound."""


def bounds_in_words(low: Bound, high: Bound) -> str:
    """Return two bounds in words.

    >>> bounds_in_words(0, 120), bounds_in_words(None, 1000), bounds_in_words(5, 5)
    ('between 0 and 120', 'at most 1,000', '5')
    """
    if low is not None and high is not None:
        return _bound(low) if low == high else f"between {_bound(low)} and {_bound(high)}"
    return f"at least {_bound(low)}" if low is not None else f"at most {_bound(high)}"


def _bound(bound: Bound) -> str:
    if bound is None:
        return ""
    return when(bound) if isinstance(bound, datetime) else number(bound)


def read_bounds(low: float | str | None, high: float | str | None, where: str, key: str) -> tuple[Bound, Bound]:
    """Return numbers as they are and ISO texts as instants.

    Args:
        low: as the YAML has it.
        high: as the YAML has it.
        where: file and line, for messages.
        key: dotted path of the rule, for messages.

    Raises:
        ConfigError: neither, a mixture of both, or a range that nothing fits in.
    """
    try:
        found = [instant(bound) if isinstance(bound, str) else bound for bound in (low, high)]
    except ConfigError as error:
        raise _bad(where, key, "a bound is neither a number nor an ISO 8601 time", low, high) from error
    given = [bound for bound in found if bound is not None]
    if len({isinstance(bound, datetime) for bound in given}) > 1:
        raise _bad(where, key, "one bound is a number, the other a time", low, high)
    if any(isinstance(bound, float) and math.isnan(bound) for bound in given):
        raise _bad(where, key, "a bound is not a number (NaN)", low, high)
    if len(given) == 2 and given[0] > given[1]:  # type: ignore[operator] # both are numbers or both are instants
        raise _bad(where, key, "min is greater than max, so no value fits", low, high)
    return found[0], found[1]


def _bad(where: str, key: str, problem: str, low: object, high: object) -> ConfigError:
    return ConfigError.invalid(
        where=where, key=key, problem=problem, value=f"[{low!r}, {high!r}]",
        hint="Write [0, 120], {min: 0}, or times such as ['2020-01-01', '2030-01-01'].",
    )  # fmt: skip
