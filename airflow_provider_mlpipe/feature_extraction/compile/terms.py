"""The meaning of expressions: what `expression` parsed, as Ibis values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction.compile.exact import finite, number, real
from airflow_provider_mlpipe.feature_extraction.expression import Column, Constant, Operation, Reference
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_mlpipe.feature_extraction.expression import Node

__all__ = ["Terms", "bound", "clean", "happened", "moment"]

_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b.nullif(0.0),
}


class Terms:
    """Translates expressions over the columns and results of one table.

    Args:
        column: returns the value of a column, by our name.
        reference: returns the value of a cell or formula, by its id.
        as_of: the run's moment, as a value that compares with `clean` times.
        where: file and line of the expression, and
        feature: whose it is, for messages.
    """

    def __init__(
        self,
        *,
        column: Callable[[str], Any],
        reference: Callable[[str], Any] | None = None,
        as_of: Any,  # noqa: ANN401 - ibis has no types
        where: str,
        feature: str,
    ) -> None:
        self._column = column
        self._reference = reference
        self._as_of = as_of
        self._where = where
        self._feature = feature

    def condition(self, node: Node) -> Any:  # noqa: ANN401
        """Return an expression that must be true or false."""
        value = self._value(node)
        if _family(value) not in ("truth", "null"):
            raise self._wrong(f"the condition is {_family(value)}, not true or false")
        return value.cast("boolean")

    def result(self, node: Node) -> Any:  # noqa: ANN401
        """Return an expression's value as a feature: float64, true as 1 and false as 0, null where it is not finite."""
        value = self._value(node)
        if _family(value) not in ("number", "truth", "null"):
            raise self._wrong(f"the result is {_family(value)}, but a feature is a number")
        return finite(value.cast("float64") if _family(value) == "null" else number(value))

    def _value(self, node: Node) -> Any:  # noqa: ANN401
        import ibis

        if isinstance(node, Column):
            return self._column(node.name)
        if isinstance(node, Reference):
            assert self._reference is not None  # noqa: S101 - only formulas hold references
            return self._reference(node.id)
        if isinstance(node, Constant):
            if node.value is None:
                return ibis.null()
            return real(node.value) if isinstance(node.value, float) else ibis.literal(node.value)
        return self._operation(node)

    def _operation(self, node: Operation) -> Any:  # noqa: ANN401
        name = node.name
        if name in _ARITHMETIC or name == "neg":
            return self._arithmetic(node)
        if name in _COMPARISONS:
            left, right = self._alike(node)
            return _COMPARISONS[name](left, right)
        if name in ("and", "or"):
            left, right = (self.condition(argument) for argument in node.arguments)
            return left & right if name == "and" else left | right
        special = {
            "not": self._not, "is null": self._is_null, "in": self._in, "case": self._case,
            "days_since": self._days_since,
        }  # fmt: skip
        return special.get(name, self._choice)(node)

    def _not(self, node: Operation) -> Any:  # noqa: ANN401
        return ~self.condition(node.arguments[0])

    def _is_null(self, node: Operation) -> Any:  # noqa: ANN401
        return self._value(node.arguments[0]).isnull()

    def _in(self, node: Operation) -> Any:  # noqa: ANN401
        value, *members = self._alike(node)
        return value.isin(members)

    def _arithmetic(self, node: Operation) -> Any:  # noqa: ANN401
        values = [self._value(argument) for argument in node.arguments]
        for value in values:
            if _family(value) not in ("number", "null"):
                raise self._wrong(f"{node.name} computes with {_family(value)}")
        floats = [value.cast("float64") for value in values]
        return -floats[0] if node.name == "neg" else _ARITHMETIC[node.name](*floats)

    def _days_since(self, node: Operation) -> Any:  # noqa: ANN401
        """Days from a time to as_of, in whole seconds; null for a time to come."""
        import ibis

        (time,) = (self._value(argument) for argument in node.arguments)
        if _family(time) not in ("time", "null"):
            raise self._wrong(f"days_since takes a time, not {_family(time)}")
        seconds = [value.cast("timestamp").truncate("s").epoch_seconds().cast("int64") for value in (self._as_of, time)]
        passed = (seconds[0] - seconds[1]).cast("float64")
        return ibis.ifelse(passed >= 0, passed / real(86_400), ibis.null("float64"))

    def _case(self, node: Operation) -> Any:  # noqa: ANN401
        import ibis

        *pairs, _ = node.arguments
        conditions = [self.condition(condition) for condition in pairs[::2]]
        *results, otherwise = self._alike(Operation("case", (*pairs[1::2], node.arguments[-1])))
        return ibis.cases(*zip(conditions, results, strict=True), else_=otherwise)

    def _choice(self, node: Operation) -> Any:  # noqa: ANN401
        """coalesce, least or greatest; the latter two pass over nulls, as DuckDB, Spark and PostgreSQL do."""
        import ibis

        values = self._alike(node)
        return getattr(ibis, node.name)(*values) if len(values) > 1 else values[0]

    def _alike(self, node: Operation) -> list[Any]:
        """Return the arguments in one type, so that they can be compared."""
        values = [self._value(argument) for argument in node.arguments]
        families = [family for family in dict.fromkeys(map(_family, values)) if family != "null"]
        if "time" in families:
            values = [self._as_time(value, part) for value, part in zip(values, node.arguments, strict=True)]
            families = ["time"]
        if len(families) > 1:
            raise self._wrong(f"{node.name} compares {' with '.join(families)}")
        if families == ["number"] and not all(value.type().is_integer() for value in values):
            values = [value.cast("float64") for value in values]
        return values

    def _as_time(self, value: Any, node: Node) -> Any:  # noqa: ANN401
        """Read a text next to a time as a time; a time without a zone is UTC."""
        if isinstance(node, Constant) and isinstance(node.value, str):
            try:
                return moment(instant(node.value))
            except ConfigError:
                raise self._wrong(
                    f"{node.value!r} is not a time", "Write '2026-01-15' or '2026-01-15T02:00:00Z'."
                ) from None
        if _family(value) not in ("time", "null"):
            raise self._wrong(f"a time is compared with {_family(value)}")
        return value

    def _wrong(self, problem: str, hint: str = "") -> FeatureError:
        return FeatureError.because(where=self._where, feature=self._feature, problem=problem, hint=hint)


def clean(value: Any) -> Any:  # noqa: ANN401
    """Return an input column in the form that all else relies on: finite floats, times in UTC without a zone.

    Adding zero turns -0.0 into 0.0: the two are equal, and Spark keeps only one where it compares rows.
    """
    kind = value.type()
    if kind.is_floating():
        return finite(value.cast("float64")) + 0.0
    if kind.is_timestamp() and kind.timezone is not None:
        return value.cast("timestamp('UTC')").cast("timestamp")
    return value.cast("timestamp") if kind.is_timestamp() or kind.is_date() else value


def happened(value: Any, end: Any) -> Any:  # noqa: ANN401
    """Return a `clean` value, or null where it is a time at or after `end`, a value: it has not happened yet."""
    import ibis

    kind = value.type()
    return ibis.ifelse(value < end, value, ibis.null(kind)) if kind.is_timestamp() else value


def moment(when: Any) -> Any:  # noqa: ANN401
    """Return an aware UTC datetime as a value that compares with `clean` times."""
    import ibis

    return ibis.literal(when.replace(tzinfo=None), "timestamp")


def bound(when: Any, time: Any) -> Any:  # noqa: ANN401
    """Return an aware UTC datetime in the kind of time that a column, clean or not, holds."""
    import ibis

    if time.type().is_timestamp() and time.type().timezone is not None:
        return ibis.literal(when, "timestamp('UTC')")
    return moment(when)


def _family(value: Any) -> str:  # noqa: ANN401
    kind = value.type()
    if kind.is_null():
        return "null"
    if kind.is_boolean():
        return "truth"
    if kind.is_numeric():
        return "number"
    if kind.is_string():
        return "text"
    return "time" if kind.is_temporal() else f"{kind}"
