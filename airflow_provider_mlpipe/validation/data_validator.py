"""Validation of a DataFrame in a notebook or a test: the stage's own rules, scan and judgement, without an artifact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.masking import Masking, discreet
from airflow_provider_mlpipe.validation.rules import rules_of
from airflow_provider_mlpipe.validation.stage import count_results, judge_frame
from airflow_provider_mlpipe.validation.tables import arrow_table
from airflow_provider_mlpipe.validation.verdict import in_report_order, report_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.validation.verdict import RuleResult

__all__ = ["DataValidator"]

DATASET = "data"


class DataValidator:
    """Judges a table that is already in memory.

    It is used like this::

        validator = DataValidator()
        passed, results = validator.validate_all(users, {"required_columns": ["user_id"], ...})
        print(validator.generate_report())

    For data on its way through a pipeline use `validation.validate`: it needs no pandas and leaves a verdict.

    Args:
        engine: what the computation may take.
    """

    def __init__(self, engine: DuckDBSettings | None = None) -> None:
        self._engine = engine
        self._report = "Nothing was validated yet."

    def validate_all(
        self,
        data_frame: pd.DataFrame | pa.Table,
        validation_config: Mapping[str, Any],
        *,
        as_of: datetime | str | None = None,
    ) -> tuple[bool, list[RuleResult]]:
        """Return whether no rule of severity ERROR failed, and what became of every rule, failures first.

        Args:
            data_frame: the rows; the index does not count.
            validation_config: the rules of one dataset, as they stand in ``validation_config.yaml``: schema,
                required_columns, unique_columns, range_constraints (lists or tuples), categorical_constraints,
                freshness and the rest.
            as_of: what freshness is measured against. Only here, where a person asks, it defaults to the current
                time; in a pipeline it is the end of the data interval.

        Raises:
            ConfigError: a key that no rule has, or a value that does not fit its key.
        """
        rules = dataset_rules({DATASET: dict(validation_config)}, DATASET)
        moment = datetime.now(UTC) if as_of is None else instant(as_of)
        listed = discreet(rules_of(rules, moment), rules.model.sensitive)
        whole = {name for name, kind in rules.model.columns.items() if kind.type == "int"}
        table = arrow_table(data_frame, whole)
        with DuckDBEngine.open(self._engine) as opened:
            judgement, _ = judge_frame(Frame.of_table(opened, table), listed, DATASET)
        masking = Masking.of(rules, listed, table.schema.names)
        results = in_report_order(masking.results(judgement.results))
        counts = count_results(results, table.num_rows)
        self._report = report_text(DATASET, results, counts, complete=True)
        return not any(result.blocks for result in results), list(results)

    def generate_report(self) -> str:
        """Return the last validation in words: a line of counts, then every rule, failures first."""
        return self._report
