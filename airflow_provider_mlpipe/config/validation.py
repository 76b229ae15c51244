"""``validation_config.yaml``: the rules of each dataset.

Every rule has a short form, and a long form that carries severity and the rest::

    range_constraints:
      age: [0, 120]                                             # short
      hours: {min: 0, max: 24, severity: WARNING, mostly: 0.99} # long
"""
# ruff: noqa: TC001 - pydantic reads annotations at run time

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from airflow_provider_mlpipe.config.expectations import ExpectationRule
from airflow_provider_mlpipe.config.row_rules import (
    ForeignKeyForm,
    PairForm,
    PatternForm,
    RowExpressionForm,
    SumForm,
    TextLengthForm,
)
from airflow_provider_mlpipe.config.rules import (
    Category,
    CategoryForm,
    Completeness,
    CompletenessForm,
    Distribution,
    Freshness,
    LogicalType,
    OnFailure,
    Range,
    RangeForm,
    SchemaColumn,
    SchemaColumnForm,
    Severity,
    Uniqueness,
    UniquenessForm,
)
from airflow_provider_mlpipe.config.section import Section
from airflow_provider_mlpipe.config.table_rules import RowCountAnomalyForm, RowCountForm, Statistics, TableRuleForm

__all__ = [
    "Category",
    "Completeness",
    "DatasetRules",
    "Distribution",
    "Freshness",
    "LogicalType",
    "OnFailure",
    "Range",
    "SchemaColumn",
    "Severity",
    "Uniqueness",
    "ValidationFile",
]


class DatasetRules(Section):
    """The rules of one dataset: the seed's keys, and what goes with them.

    Attributes:
        schema: the columns that must be there, and their logical types.
        schema_strict: no column but those of the schema is there.
        schema_ordered: the columns are those of the schema, in its order.
        required_columns: columns without nulls.
        unique_columns: columns, or lists of columns, whose values do not repeat.
        range_constraints: bounds by column.
        categorical_constraints: the values that a column may have.
        patterns: by column, the regular expression that its texts match.
        lengths: by column, how many characters its texts have.
        pairs: comparisons of two columns of a row.
        sums: equations of several columns of a row.
        row_rules: boolean SQL expressions over one row.
        references: by column, the column of another dataset in which its values stand.
        statistics: by column, bounds on its mean, median, quantiles and so on.
        freshness: how old the newest row may be.
        distribution: by column, how far its distribution may be from a reference.
        row_count: how many rows there are.
        row_count_anomaly: whether there are about as many rows as in recent runs.
        expectations: Great Expectations' core expectations by their own names and arguments.
        engine: ``scan`` computes what all rules need in a few statements; ``spark`` runs the same statements on Spark,
            for data that outgrew one machine; ``gx`` runs Great Expectations as it is, on pandas, which holds all rows
            in memory and takes ten times as long or more.
        allow_empty: whether a dataset without rows may pass; by default it fails, as all other rules would hold.
        on_failure: what becomes of data that breaks a rule of severity ERROR, unless the rule itself says so.
        max_quarantine_share: if more than this share of the rows would go to quarantine, nothing goes on: then it is
            not a few bad rows but something else that is wrong.
        sensitive: columns whose values nobody may read in a report, a log, an exception, XCom or any other output but
            the data itself.
    """

    columns: dict[str, SchemaColumnForm] = Field(default={}, alias="schema")
    schema_strict: TableRuleForm = None
    schema_ordered: TableRuleForm = None
    required_columns: list[CompletenessForm] = []
    unique_columns: list[UniquenessForm] = []
    range_constraints: dict[str, RangeForm] = {}
    categorical_constraints: dict[str, CategoryForm] = {}
    patterns: dict[str, PatternForm] = {}
    lengths: dict[str, TextLengthForm] = {}
    pairs: list[PairForm] = []
    sums: list[SumForm] = []
    row_rules: list[RowExpressionForm] = []
    references: dict[str, ForeignKeyForm] = {}
    statistics: dict[str, Statistics] = {}
    freshness: Freshness | None = None
    distribution: dict[str, Distribution] = {}
    row_count: RowCountForm | None = None
    row_count_anomaly: RowCountAnomalyForm = None
    expectations: list[ExpectationRule] = []
    engine: Literal["scan", "spark", "gx"] = "scan"
    allow_empty: bool = False
    on_failure: OnFailure = "block"
    max_quarantine_share: float = Field(default=0.1, gt=0, le=1)
    sensitive: list[str] = []

    @model_validator(mode="after")
    def _schema_is_there(self) -> DatasetRules:
        if (self.schema_strict or self.schema_ordered) and not self.columns:
            raise ValueError("schema_strict and schema_ordered need a schema: the columns that may be there")
        return self


ValidationFile = dict[str, DatasetRules]
"""The whole file: rules by dataset name."""
