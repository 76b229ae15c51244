"""Several columns of one row: two that compare as said, some that add up."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.rules.rows import NullsRule
from airflow_provider_mlpipe.validation.wording import column, columns, number, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.row_expression import RowExpression
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["Adds", "Compares", "comparable", "stated"]

_GROUPS = {"int": "number", "float": "number", "decimal": "number", "timestamp": "time", "date": "time"}
_OPERATORS = {"LT": "<", "LTE": "<=", "EQ": "=", "GTE": ">=", "GT": ">"}
_WORDS = {"<": "less than", "<=": "at most", "=": "equal to", ">=": "at least", ">": "greater than"}


def comparable(one: str, other: str) -> bool:
    """Whether values of two logical types have an order between them."""
    if "null" in {one, other}:
        return True
    orderly = one in {*_GROUPS, "string", "bool"}
    return orderly and _GROUPS.get(one, one) == _GROUPS.get(other, other)


@dataclass(frozen=True, kw_only=True)
class _Comparing(NullsRule):
    """A rule on several columns of a row.

    With `nulls` ``skip`` a row without one of the values does not count; with ``fail`` it breaks the rule unless all
    are missing.
    """

    streams: ClassVar[bool] = True

    @property
    def tail(self) -> str:
        """How many rows, and which, in words."""
        about = "" if self.mostly == 1 else f" in at least {share(self.mostly)} of the rows"
        return f"{about}{self.where_clause}"

    def missing(self, frame: Frame) -> Condition | None:
        """Return the SQL condition of a row that does not count."""
        glue = " OR " if self.nulls == "skip" else " AND "
        return glue.join(frame.is_null(name) for name in self.columns), []

    @abstractmethod
    def kept(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row with all values that keeps the rule."""

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row that breaks the rule; one that lacks a value is none that keeps it."""
        if any(frame.logical(name) == "null" for name in self.columns):
            return "true", []
        sql, parameters = self.kept(frame)
        return f"NOT coalesce({sql}, false)", parameters

    def found(self, finding: Any, rows: int) -> str:  # noqa: ANN401 - a Finding
        """Return how many rows break the rule."""
        return super().found(finding, rows).replace("values", "rows").replace("value ", "row ")

    def sample_value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the values of all columns."""
        return tuple(values[name] for name in self.columns)


@dataclass(frozen=True, kw_only=True)
class Compares(_Comparing):
    """The first column compares to the second as `operator` says."""

    kind: ClassVar[str] = "pair"
    operator: str

    @property
    def text(self) -> str:
        """The rule in plain words."""
        left, right = (column(name) for name in self._sides)
        return f"{left} is {_WORDS[self.operator]} {right}{self.tail}."

    @property
    def _sides(self) -> tuple[str, str]:
        return self.columns[0], self.columns[-1]

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        if self.nulls == "fail":
            return None  # which rows have neither value, one statement cannot say
        left, right = map(quote, self._sides)
        return f"{left} {self.operator} {right}"

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same: a < b is b > a."""
        left, right = self._sides if self.operator in {">", ">=", "="} else reversed(self._sides)
        skipped = "either_value_is_missing" if self.nulls == "skip" else "both_values_are_missing"
        arguments = {"column_A": left, "column_B": right, "mostly": self.mostly, "ignore_row_if": skipped}
        if self.operator == "=":
            return "expect_column_pair_values_to_be_equal", arguments
        or_equal = {"or_equal": True} if "=" in self.operator else {}
        return "expect_column_pair_values_a_to_be_greater_than_b", arguments | or_equal

    def problem(self, frame: Frame) -> str:
        """Return why the columns' types cannot be compared, or nothing."""
        one, other = (frame.logical(name) for name in self._sides)
        if comparable(one, other):
            return ""
        return f"{column(self.columns[0])} is of type {one}, which cannot be compared with {other}"

    def kept(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row whose values compare as said; naive times are UTC."""
        places = [frame.sql(name) for name in self._sides]
        if {frame.logical(name) for name in self._sides} & {"timestamp", "date"}:
            places = [f"CAST({place} AS TIMESTAMPTZ)" for place in places]
        return f"({places[0]} {self.operator} {places[1]})", []


@dataclass(frozen=True, kw_only=True)
class Adds(_Comparing):
    """The sum of `addends` is `total`, a number or a column, within `tolerance`."""

    kind: ClassVar[str] = "sum"
    addends: tuple[str, ...]
    total: float | str
    tolerance: float = 0.0

    @property
    def text(self) -> str:
        """The rule in plain words."""
        total = column(self.total) if isinstance(self.total, str) else number(self.total)
        near = f", within {number(self.tolerance)}" if self.tolerance else ""
        return f"{columns(self.addends)} add up to {total}{near}{self.tail}."

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        if self.nulls == "fail":
            return None
        total = quote(self.total) if isinstance(self.total, str) else repr(self.total)
        added = " + ".join(map(quote, self.addends))
        return f"abs({added} - {total}) <= {self.tolerance!r}" if self.tolerance else f"{added} = {total}"

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same: GX's own knows no tolerance and no total of each row."""
        if isinstance(self.total, str) or self.tolerance:
            return "expect_rows_to_add_up", {
                "column_list": list(self.addends), "total": self.total, "tolerance": self.tolerance,
                "nulls": self.nulls, "mostly": self.mostly,
            }  # fmt: skip
        skipped = "any_value_is_missing" if self.nulls == "skip" else "all_values_are_missing"
        return "expect_multicolumn_sum_to_equal", {
            "column_list": list(self.addends), "sum_total": self.total, "ignore_row_if": skipped, "mostly": self.mostly,
        }  # fmt: skip

    def problem(self, frame: Frame) -> str:
        """Return which column is no number, or nothing."""
        for name in self.columns:
            kind = frame.logical(name)
            if kind not in {"int", "float", "decimal", "null"}:
                return f"{column(name)} is of type {kind}, which cannot be added"
        return ""

    def kept(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row that adds up."""
        kinds = {frame.logical(name) for name in self.columns}
        # Whole numbers are added without overflow, decimals exactly; one float makes floats of all.
        wide = "DOUBLE" if "float" in kinds else "HUGEINT" if kinds == {"int"} else ""
        places = {name: f"CAST({frame.sql(name)} AS {wide})" if wide else frame.sql(name) for name in self.columns}
        added = " + ".join(places[name] for name in self.addends)
        total, parameters = (places[self.total], []) if isinstance(self.total, str) else ("?", [self.total])
        if self.tolerance:
            return f"(abs(({added}) - {total}) <= ?)", [*parameters, self.tolerance]
        return f"(({added}) = {total})", parameters

    def sample_value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the values by column."""
        return dict(values)


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``pairs`` and ``sums``."""
    for place, pair in enumerate(statements.model.pairs):
        where = statements.where("pairs", place)
        read = statements.expression(pair.pair, where, f"pairs.{place}")
        left, operator, right = _pair(read, where, f"pairs.{place}")
        name = f"pair.{left}{operator}{right}"
        yield Compares(
            operator=operator, nulls=pair.nulls, **statements.common(pair, name, [left, right], "pairs", place)
        )
    for place, total in enumerate(statements.model.sums):
        where = statements.where("sums", place)
        read = statements.expression(total.sum, where, f"sums.{place}")
        addends, equal = _equation(read, where, f"sums.{place}")
        columns_ = [*addends, equal] if isinstance(equal, str) else addends
        yield Adds(
            addends=tuple(addends), total=equal, tolerance=total.tolerance, nulls=total.nulls,
            **statements.common(total, f"sum.{'+'.join(addends)}", columns_, "sums", place),
        )  # fmt: skip


def _pair(read: RowExpression, where: str, key: str) -> tuple[str, str, str]:
    """Return the two columns and the operator between them.

    Raises:
        ConfigError: it is no comparison of two columns.
    """
    tree = read.tree()
    operator = _OPERATORS.get(type(tree).__name__)
    sides = [type(side).__name__ for side in (tree.args.get("this"), tree.args.get("expression"))]
    if operator is None or sides != ["Column", "Column"]:
        raise ConfigError.invalid(
            where=where, key=key, problem="not a comparison of two columns", value=repr(read.text),
            hint="Write created_at <= completed_at, with one of < <= = >= >. Anything else is a row rule.",
        )  # fmt: skip
    return str(tree.this.name), operator, str(tree.expression.name)


def _equation(read: RowExpression, where: str, key: str) -> tuple[list[str], float | str]:
    """Return the columns that are added, and the column or number that they make.

    Raises:
        ConfigError: it is no such equation.
    """
    tree = read.tree()
    equation = type(tree).__name__ == "EQ"
    left: Any = tree.this if equation else None
    right: Any = tree.expression if equation else None
    addends: list[str] = []
    while type(left).__name__ == "Add" and type(left.expression).__name__ == "Column":
        addends.insert(0, str(left.expression.name))
        left = left.this
    total = _total(right)
    if not addends or type(left).__name__ != "Column" or total is None:
        raise ConfigError.invalid(
            where=where, key=key, problem="not an equation of added columns", value=repr(read.text),
            hint="Write net + tax = gross, or a + b + c = 100. Anything else is a row rule.",
        )  # fmt: skip
    return [str(left.name), *addends], total


def _total(tree: Any) -> float | str | None:  # noqa: ANN401 - sqlglot's
    kind = type(tree).__name__
    if kind == "Column":
        return str(tree.name)
    sign = -1 if kind == "Neg" else 1
    number_ = tree.this if kind == "Neg" else tree
    if type(number_).__name__ != "Literal" or number_.is_string:
        return None
    text = str(number_.this)
    return sign * (int(text) if text.isdigit() else float(text))
