"""The YAML of one dataset as the families of rules read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, did_you_mean
from airflow_provider_mlpipe.validation.row_expression import RowExpression

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, DatasetRules, Severity
    from airflow_provider_mlpipe.config.rules import OnFailure
    from airflow_provider_mlpipe.config.rules import Rule as RuleModel

__all__ = ["Statements"]


class Statements:
    """What the YAML states of a dataset, and for which instant it is read.

    Attributes:
        dataset: its name.
        model: its rules.
        as_of: the end of the run's data interval.
        document: the YAML file's path.
    """

    def __init__(self, configured: Configured[DatasetRules], as_of: datetime) -> None:
        self.dataset = configured.name
        self.model = configured.model
        self.as_of = as_of
        self.document = configured.document.name
        self.where = configured.where
        strict = self.model.schema_strict or self.model.schema_ordered
        self._known = tuple(self.model.columns) if strict else ()

    def common(self, rule: RuleModel, name: str, columns: Sequence[str], *path: str | int) -> dict[str, Any]:
        """Return what all rules have, ready for the constructor of a rule.

        Args:
            rule: what the YAML states.
            name: of the rule, without the dataset.
            columns: that it is about.
            path: where it stands below the dataset.

        Raises:
            ConfigError: its condition is not an expression over the row, or a strict schema lacks a column.
        """
        where = self.where(*path)
        self._check_columns(columns, where, ".".join(map(str, path)))
        severity, on_failure = self._consequence(rule)
        given: dict[str, Any] = {
            "rule_id": f"{self.dataset}.{name}", "columns": tuple(dict.fromkeys(columns)), "severity": severity,
            "on_failure": on_failure, "owner": rule.owner, "note": rule.note, "where": where,
        }  # fmt: skip
        if (mostly := getattr(rule, "mostly", None)) is not None:
            given["mostly"] = mostly
        if (condition := getattr(rule, "condition", None)) is not None:
            key = ".".join(map(str, (*path, "condition")))
            given["condition"] = self.expression(condition, self.where(*path, "condition"), key)
        return given

    def _check_columns(self, columns: Sequence[str], where: str, key: str) -> None:
        """Refuse columns that a strict schema says there are not: no data would ever have them.

        Raises:
            ConfigError: there is one.
        """
        for name in columns:
            if self._known and name not in self._known:
                raise ConfigError.invalid(
                    where=where, key=key, problem=f"there is no column {name!r} in the schema, which is strict."
                    f"{did_you_mean(name, self._known)}", hint=f"Its columns: {', '.join(self._known)}.",
                )  # fmt: skip

    def _consequence(self, rule: RuleModel) -> tuple[Severity, OnFailure]:
        """Return how severe a failure is and what it does: the dataset's default is about what would block."""
        default = self.model.on_failure if rule.severity == "ERROR" else "warn"
        on_failure = rule.on_failure or default
        return ("WARNING" if on_failure == "warn" and rule.severity == "ERROR" else rule.severity), on_failure

    def expression(self, text: str, where: str, key: str) -> RowExpression:
        """Return a boolean expression over the row.

        Raises:
            ConfigError: it is none, or uses something that is not allowed, or a column that a strict schema lacks.
        """
        return RowExpression.parse(text, where=where, key=key, known=self._known)
