"""Every operator mapped, in one Dag run: what each instance is given, where it writes, what the next one takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import Step, new_airflow

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

INSTANCES = {
    "ingest": 2, "validate": 2, "extract": 4, "merge": 2, "apply": 2, "materialize": 2, "push": 2, "training_set": 2
}  # fmt: skip


def test_every_operator_runs_mapped(tmp_path: Path) -> None:
    data = sample.write(tmp_path / "sample")
    here = new_airflow(tmp_path).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(__file__).replace("test_mapped.py", "cases"),
        MLPIPE_SAMPLE_DB=f"sqlite:///{data.database}",
    )

    (run,) = here.run(Step("mapped", "2026-01-15"))

    every = {f"{task}[{index}]" for task, count in INSTANCES.items() for index in range(count)}
    assert {name for name, state in run.states.items() if state == "success"} >= every, run.log
    found = {name: Artifact.open(run.xcom(name)) for name in every}
    # Each has a place of its own; what registers and serves hands on the artifact that it was given.
    published = [
        found[name].uri for name in every if name.partition("[")[0] not in {"validate", "apply", "materialize", "push"}
    ]
    assert len(set(published)) == len(published)
    people = found["ingest[0]"].manifest.rows
    for index, (name, feature) in enumerate((("done", "tasks_completed_7d"), ("load", "current_workload_hours"))):
        chunks = [found[f"extract[{2 * index + part}]"] for part in range(2)]
        features = found[f"merge[{index}]"]
        assert {chunk.manifest.dataset for chunk in chunks} == {features.manifest.dataset} == {name}
        assert sum(chunk.manifest.rows for chunk in chunks) == features.manifest.rows == people
        for task in ("apply", "materialize", "push"):
            assert found[f"{task}[{index}]"].uri == features.uri
            assert run.xcom(f"{task}[{index}]", "view") == f"of_{name}"
        assert run.xcom(f"materialize[{index}]", "metrics")["rows_materialized"] == people
        # Its labels are the features themselves, as of their own moment: the store's must be the same.
        table = found[f"training_set[{index}]"].table()
        assert table.num_rows == people
        assert table[f"of_{name}__{feature}"].to_pylist() == table[feature].to_pylist()
