"""Adding floating point numbers so that the order does not matter.

Engines add in whatever order their threads get at the rows, and the last bits of a float sum follow that order. The
same day computed twice would then differ, and no fingerprint could tell a changed input from a busy machine. So every
number is split into its whole part and the rest, both are added as 38-digit decimals, which is exact, and only the two
totals become floats again. Numbers up to 1e30 and steps down to 1e-27 count in full; it costs about twice the CPU of a
plain sum.
"""

from __future__ import annotations

from typing import Any

__all__ = ["exact_sum", "finite", "number", "real", "rest", "whole"]

_SCALE = float(2**90)
"""A power of two, so that scaling loses nothing: a rest of at most 0.5 stays below 1e38 over a hundred billion rows."""

_DIGITS = "decimal(38, 0)"


def finite(value: Any) -> Any:  # noqa: ANN401 - ibis has no types
    """Return a float value, or null where it is not a finite number."""
    import ibis

    return ibis.ifelse(value.isnan() | value.isinf(), ibis.null(value.type()), value)


def number(value: Any) -> Any:  # noqa: ANN401
    """Return a numeric or boolean value as float64; engines disagree on arithmetic of whole numbers and literals."""
    return value.cast("int64").cast("float64") if value.type().is_boolean() else value.cast("float64")


def real(value: float) -> Any:  # noqa: ANN401
    """Return a float literal: from text, as engines read a bare ``0.1`` as a decimal and compute with it as such."""
    import ibis

    return ibis.literal(repr(float(value))).cast("float64")


def whole(value: Any) -> Any:  # noqa: ANN401
    """Return the whole part of a float64, as what can be added exactly."""
    return value.cast(_DIGITS)


def rest(value: Any, whole_part: Any) -> Any:  # noqa: ANN401
    """Return what `whole` left over, scaled to whole numbers."""
    return ((value - whole_part.cast("float64")) * real(_SCALE)).cast(_DIGITS)


def exact_sum(whole_part: Any, rest_part: Any, where: Any = None) -> Any:  # noqa: ANN401
    """Return the sum of the numbers that were split into these two; null if there is none."""
    total = whole_part.sum(where=where).cast("float64")
    return total + rest_part.sum(where=where).cast("float64") / real(_SCALE)
