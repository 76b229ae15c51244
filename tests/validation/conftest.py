"""Publishing small tables as artifacts, and judging them by rules as they stand in a YAML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Storage
from airflow_provider_mlpipe.artifacts.writer import Description
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.validation import RuleResult, Verdict, validate
from airflow_provider_mlpipe.validation.library import load_great_expectations

if TYPE_CHECKING:
    from pathlib import Path

load_great_expectations()

AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)

Publish = Callable[..., Artifact]
Judge = Callable[..., Verdict]


@pytest.fixture
def as_of() -> datetime:
    """The end of the example's daily interval."""
    return AS_OF


@pytest.fixture
def publish(root: Storage) -> Publish:
    """Publish a table as an artifact of dataset ``data``."""
    numbers = count()

    def publish(table: pa.Table | Mapping[str, Any], place: Storage = root) -> Artifact:
        table = table if isinstance(table, pa.Table) else pa.table(dict(table))
        described = Description(dataset="data", stage="raw", run=Run(run_id=f"test-{next(numbers)}"))
        with ArtifactWriter(place, described, table.schema) as writer:
            writer.write_all(table.to_batches())
            return writer.publish()

    return publish


@pytest.fixture
def judge(publish: Publish) -> Judge:
    """Publish a table and judge it by the rules of one dataset, given as the YAML would."""

    def judge(
        table: pa.Table | Mapping[str, Any],
        rules: Mapping[str, Any],
        as_of: datetime = AS_OF,
        related: Mapping[str, Artifact] | None = None,
    ) -> Verdict:
        rules_ = dataset_rules({"data": dict(rules)}, "data")
        return validate(publish(table), rules_, as_of=as_of, related=related)

    return judge


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a validation_config.yaml."""

    def write(text: str) -> Path:
        path = tmp_path / "validation_config.yaml"
        path.write_text(text)
        return path

    return write


def result_of(verdict: Verdict, rule_id: str) -> RuleResult:
    """Return the one result of a rule; the dataset's name is put before the id."""
    (found,) = [result for result in verdict.results if result.rule_id == f"data.{rule_id}"]
    return found


@pytest.fixture
def result() -> Callable[[Verdict, str], RuleResult]:
    """Pick the result of a rule out of a verdict."""
    return result_of
