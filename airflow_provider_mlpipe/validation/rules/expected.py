"""Great Expectations' core expectations by their own names: from the scan where SQL says the same, else on pandas."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.gx import aggregates, conditions, queries, stock
from airflow_provider_mlpipe.validation.gx.arguments import for_gx
from airflow_provider_mlpipe.validation.measures import count
from airflow_provider_mlpipe.validation.rules.rows import Conditional, RowRule
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, broken_share
from airflow_provider_mlpipe.validation.wording import columns, number, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["Expected", "ExpectedOfColumn", "ExpectedOfQuery", "ExpectedOfRows", "ExpectedOfTable", "stated"]

_NAMING = ("column", "column_A", "column_B", "column_list")
_NOT_NULL = "expect_column_values_to_not_be_null"


@dataclass(frozen=True, kw_only=True)
class Expected(Conditional):
    """An expectation of Great Expectations.

    Attributes:
        type: its name in snake case.
        arguments: as the YAML has them, by the names that Great Expectations gives them.
    """

    kind: ClassVar[str] = "expectation"
    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The rule in plain words: those of the expectation's name, and its arguments."""
        words = self.type.removeprefix("expect_").replace("_", " ")
        given = {name: each for name, each in self.arguments.items() if name not in _NAMING}
        said = ", ".join(f"{name} {value(each)}" for name, each in given.items())
        about = f"{columns(self.columns)}: " if self.columns else ""
        return f"{about}{words[0].upper()}{words[1:]}{f' ({said})' if said else ''}{self.where_clause}."

    def expectation(self) -> Expectation:
        """Return its name and arguments."""
        return self.type, for_gx(self.arguments)

    @abstractmethod
    def is_native(self, frame: Frame) -> bool:
        """Whether the engine says the same of these columns as Great Expectations does on pandas."""

    def sample_value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the values of all columns that it is about."""
        return values[self.column] if len(self.columns) == 1 else dict(values)

    def on_pandas(self, subject: Subject) -> Finding:
        """Return what Great Expectations itself says."""
        frame = subject.frame
        return stock.find_on_pandas(frame, [self], self.reads, self.selected(frame))[self.rule_id]


@dataclass(frozen=True, kw_only=True)
class ExpectedOfRows(Expected, RowRule):
    """An expectation that every row meets or fails by itself."""

    def is_native(self, frame: Frame) -> bool:
        """Whether SQL says the same."""
        return conditions.is_native(self.type, self._test(frame))

    def in_sql(self, frame: Frame) -> bool:
        """Whether the rows that break it can be told by SQL."""
        return self.is_native(frame)

    def missing(self, frame: Frame) -> Condition | None:
        """Return the SQL condition of a row that does not count."""
        return conditions.ignored(self.type, self._test(frame))

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of an unexpected row."""
        return conditions.unexpected(self.type, self._test(frame))

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return the counts; none if pandas counts."""
        return super().measures(subject) if self.is_native(subject.frame) else {}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the counts, and some rows if there are too many."""
        return super().find(subject, measured) if self.is_native(subject.frame) else self.on_pandas(subject)

    def found(self, finding: Finding, rows: int) -> str:
        """Return how many rows break the rule."""
        return broken_share(finding, rows, "row", ("is not as expected", "are not as expected"))

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the counts where their names say that they are of nulls."""
        if self.type != _NOT_NULL:
            return {}
        base = "column_values.nonnull"
        return {
            f"{base}.unexpected_count": finding.unexpected,
            f"{base}.unexpected_values": [None] * len(finding.samples),
            f"{base}.unexpected_index_list": [dict(sample.key) for sample in finding.samples],
            f"{base}.unexpected_index_query": None,
        }

    def _test(self, frame: Frame) -> conditions.RowTest:
        return conditions.RowTest(frame, self.columns, self.arguments)


@dataclass(frozen=True, kw_only=True)
class ExpectedOfColumn(Expected):
    """An expectation of a whole column."""

    def problem(self, frame: Frame) -> str:
        """Return why there is nothing to compute of such a column, or nothing."""
        found = aggregates.problem_with(self.type, frame.logical(self.column))
        return f"{columns(self.columns)} {found}" if found else ""

    def is_native(self, frame: Frame) -> bool:
        """Whether the engine computes the same."""
        return aggregates.computable(frame.logical(self.column), self.type)

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the metrics that Great Expectations asks for."""
        frame = subject.frame
        if not self.is_native(frame):
            return self.on_pandas(subject)
        column = aggregates.Column(frame, self.column, self.selected(frame), self.arguments)
        return Finding(observed=aggregates.answers(self.type, column))

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the metrics."""
        return finding.observed if isinstance(finding.observed, dict) else {}

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say what was observed."""
        return _observed(finding)


@dataclass(frozen=True, kw_only=True)
class ExpectedOfTable(Expected):
    """An expectation of the table as a whole: how many rows, which columns."""

    @property
    def skips_without_columns(self) -> bool:
        """Only for want of a column that the condition reads: which columns there are is what it is about."""
        return self.condition is not None

    def is_native(self, frame: Frame) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return how many rows the condition leaves."""
        selected = self.selected(subject.frame)
        return {} if selected is None else {"selected": count(selected)}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return how many rows there are."""
        frame = subject.frame
        rows = measured.get("selected", frame.rows)
        counted = rows if "row_count" in self.type else len(frame.schema.names)
        return Finding(selected=rows, observed=counted, detail=", ".join(frame.schema.names))

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say how many, or which columns."""
        if "columns_to_match" in self.type or self.type == "expect_column_to_exist":
            return f"The columns are {value(finding.detail)}."
        return f"There are {number(int(finding.observed))}."


@dataclass(frozen=True, kw_only=True)
class ExpectedOfQuery(Expected):
    """GX's UnexpectedRowsExpectation: a query that returns the rows which should not be there."""

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"No row is found by {value(' '.join(self.arguments['unexpected_rows_query'].split()))}."

    def is_native(self, frame: Frame) -> bool:  # noqa: ARG002
        """Always: only SQL engines can run it."""
        return True

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return how many rows the query finds, and the first of them."""
        rows, first = queries.found_by(subject.frame, self.arguments["unexpected_rows_query"])
        return Finding(observed=rows, unexpected=rows, samples=first)

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the rows and their number."""
        rows = [sample.values for sample in finding.samples]
        return {"unexpected_rows_query.table": rows, "unexpected_rows_query.row_count": finding.unexpected}

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say how many rows the query found."""
        return f"It finds {number(finding.unexpected)}." if finding.unexpected else ""


def _observed(finding: Finding) -> str:
    """Return what was observed, as a sentence."""
    seen = finding.observed
    if isinstance(seen, dict):
        counts = {name.rpartition(".")[2]: each for name, each in seen.items()}
        seen = next(iter(seen.values())) if len(seen) == 1 else None
        if seen is None:
            lists = {name: each for name, each in counts.items() if isinstance(each, list) and each}
            named = {"not_in_set": "not in the set", "missing_from_column": "missing"}
            said = [f"{named.get(name, name)}: {value(', '.join(map(str, each)))}" for name, each in lists.items()]
            return f"Values {'; '.join(said)}." if said else ""
    if seen is None:
        return "There is no value."
    if isinstance(seen, (int, float)) and not isinstance(seen, bool):
        return f"It is {number(seen)}."
    return f"It is {value(seen)}."


# ------------------------------------------------------------------ from YAML


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``expectations``."""
    for place, wanted in enumerate(statements.model.expectations):
        given = wanted.arguments
        names = [given[name] for name in ("column", "column_A", "column_B") if name in given]
        kind = _class_of(wanted.type)
        if kind not in {ExpectedOfTable, ExpectedOfQuery}:
            names += given.get("column_list", ())
        if wanted.type == "expect_column_to_exist":
            names = []
        about = "+".join(map(str, names))
        common = statements.common(wanted, f"{wanted.type}{f'.{about}' if about else ''}", names, "expectations", place)
        if kind is ExpectedOfQuery:
            _check_query(statements, place, given["unexpected_rows_query"])
        if kind is ExpectedOfRows:
            common["mostly"] = float(given.get("mostly", 1.0))
        yield kind(type=wanted.type, arguments=given, **common)


def _class_of(name: str) -> type[Expected]:
    if name == "unexpected_rows_expectation":
        return ExpectedOfQuery
    if name.startswith("expect_table_") or name == "expect_column_to_exist":
        return ExpectedOfTable
    if name in aggregates.ON_COLUMNS or name in {
        "expect_column_kl_divergence_to_be_less_than", "expect_column_type_to_be",
    }:  # fmt: skip
        return ExpectedOfColumn
    return ExpectedOfRows


def _check_query(statements: Statements, place: int, query: str) -> None:
    if problem := queries.problem_with(query):
        raise ConfigError.invalid(
            where=statements.where("expectations", place, "unexpected_rows_query"),
            key=f"expectations.{place}.unexpected_rows_query", problem=problem,
            hint="Write SELECT * FROM {batch} WHERE ..., as Great Expectations does; {batch} are the rows.",
        )  # fmt: skip
