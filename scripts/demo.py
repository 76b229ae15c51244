"""The demo: a sample database, the example DAG run by Airflow, and what came of it.

``python scripts/demo.py`` makes everything in one folder, runs ``airflow dags test user_feature_pipeline``, and prints
each stage, the report's place and the features of three users as the online store serves them. With ``--serve`` it
starts a local Airflow on the same folder instead, for its UI.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import ONLINE, REPORT, Artifact, Storage
from airflow_provider_mlpipe.config import feature_store
from airflow_provider_mlpipe.errors import MlpipeError
from airflow_provider_mlpipe.feature_store import read_online

REPOSITORY = Path(__file__).resolve().parent.parent
DAG = "user_feature_pipeline"
DATE = "2026-01-15"
VIEW = "user_profile_features"

# Wide enough for the tables where the output is not a terminal, which says its own width.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Run the demo or serve Airflow; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".demo", help="the one folder that everything is in")
    parser.add_argument("--serve", action="store_true", help="start a local Airflow for its UI")
    parser.add_argument("--port", type=int, default=8080, help="the port of the UI, on 127.0.0.1")
    arguments = parser.parse_args()
    demo = Demo(arguments.home.resolve())
    try:
        return demo.serve(arguments.port) if arguments.serve else demo.run()
    except MlpipeError as error:
        console.print(f"[red]{error}[/red]", markup=True)
        return error.exit_code


class Demo:
    """Everything below one folder: Airflow's home, the sample, the artifacts, the stores."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.artifacts = home / "artifacts"
        self.log = home / "logs" / "dags-test.log"
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__MLPIPE__ARTIFACT_ROOT": str(self.artifacts),
            "AIRFLOW__MLPIPE__CONFIG_FOLDER": str(REPOSITORY / "config"),
            "MLPIPE_SAMPLE_DB": f"sqlite:///{home}/sample/tracker.db",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    def run(self) -> int:
        """Make the sample, run the DAG, show the result."""
        self._sample(until=date(2026, 1, 31))
        self._migrate()
        console.print(f"running   airflow dags test {DAG} {DATE}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8") as log:
            done = subprocess.run(
                ["airflow", "dags", "test", DAG, DATE],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT, cwd=REPOSITORY, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            tail = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-25:])
            console.print(f"[red]The DAG failed.[/red] The end of {self.log}:\n", markup=True)
            console.print(tail, markup=False)
            return 1
        self._show()
        return 0

    def serve(self, port: int) -> int:
        """Start ``airflow standalone`` on 127.0.0.1 until Ctrl-C, with everybody an admin: for one's own machine."""
        self._sample(until=datetime.now(UTC).date() + timedelta(days=1), days=120)
        self._migrate()
        address = f"http://127.0.0.1:{port}"
        environment = self.environment | {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        }
        console.print(f"serving   {address}/dags/{DAG}   (Ctrl-C ends it)", soft_wrap=True)
        try:
            return subprocess.run(["airflow", "standalone"], env=environment, cwd=REPOSITORY, check=False).returncode
        except KeyboardInterrupt:
            return 0

    def _sample(self, *, until: date, days: int = 60) -> None:
        folder = self.home / "sample"
        console.print(f"sample    {_short(folder / 'tracker.db')}", soft_wrap=True)
        sample.write(folder, until=until, days=days)

    def _migrate(self) -> None:
        """Make Airflow's metadata database, once per Airflow version."""
        from importlib.metadata import version

        stamp = self.home / "airflow" / f".migrated-{version('apache-airflow-core')}"
        if stamp.exists():
            return
        console.print("preparing Airflow's metadata database (the first time only)")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with (self.log.parent / "migrate.log").open("w", encoding="utf-8") as log:
            subprocess.run(
                ["airflow", "db", "migrate"], env=self.environment, stdout=log, stderr=subprocess.STDOUT, check=True
            )
        stamp.touch()

    def _show(self) -> None:
        features = self._newest("user_features", "features")
        inputs = [Artifact.open(item.uri) for item in features.manifest.inputs]
        table = Table("stage", "dataset", "rows in", "rows out", "verdict", "CPU s", box=None, pad_edge=False)
        for artifact in inputs:
            found = artifact.manifest.metrics
            table.add_row(
                "ingest", artifact.manifest.dataset, _count(found["records_read"]), _count(artifact.manifest.rows), "",
                f"{found['cpu_seconds']:.2f}",
            )  # fmt: skip
        for artifact in inputs:
            rows = _count(artifact.manifest.rows)
            verdict = artifact.verdict() or {}
            counts = verdict["counts"]
            table.add_row("validate", artifact.manifest.dataset, rows, rows, _verdict(verdict),
                          f"{counts['cpu_seconds']:.2f}")  # fmt: skip
        rows_in = sum(artifact.manifest.rows for artifact in inputs)
        table.add_row("extract", features.manifest.dataset, _count(rows_in), _count(features.manifest.rows), "",
                      f"{features.manifest.metrics['cpu_seconds']:.2f}")  # fmt: skip
        online = json.loads(features.read_beside(ONLINE) or b"{}")["metrics"]
        table.add_row("materialize", VIEW, _count(features.manifest.rows), _count(online["rows_materialized"]),
                      f"{online['rows_read_back']} read back, {online['mismatches']} differ",
                      f"{online['cpu_seconds']:.2f}")  # fmt: skip
        console.print()
        console.print(table)
        console.print()
        for artifact in inputs:
            console.print(f"report    {_short(Path(artifact.place.path(REPORT)))}", soft_wrap=True)
        self._show_online(features)
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        total = sum(usage.ru_utime + usage.ru_stime for usage in spent)
        console.print(f"log       {_short(self.log)}", soft_wrap=True)
        console.print(
            f"total     {total:.0f} CPU seconds, most of them Airflow's, Feast's and Great Expectations' imports"
        )

    def _show_online(self, features: Artifact) -> None:
        """Read three busy users back from the online store, as a model server would."""
        entity = features.manifest.details["entity"]
        rows = features.table().sort_by([("tasks_completed_7d", "descending"), (entity, "ascending")]).to_pylist()[:3]
        store = feature_store(REPOSITORY / "config" / "feature_config.yaml").model
        names = [feature["name"] for feature in features.manifest.details["features"]]
        answers = read_online(
            store, root=Storage(str(self.artifacts)), view=VIEW, entity_rows=[{entity: row[entity]} for row in rows]
        )
        table = Table(entity, *names, box=None, pad_edge=False)
        for answer in answers:
            table.add_row(str(answer[entity]), *[_value(answer[name]) for name in names])
        console.print(f"\nonline    {VIEW}, as of {features.manifest.details['as_of']}", soft_wrap=True)
        console.print(table)
        console.print()

    def _newest(self, dataset: str, stage: str) -> Artifact:
        manifests = (self.artifacts / dataset / stage).glob("*/_manifest.json")
        newest = max(manifests, key=lambda path: path.stat().st_mtime)
        return Artifact.open(str(newest.parent))


def _verdict(summary: dict[str, Any]) -> str:
    word, counts = ("passed" if summary["passed"] else "blocked"), summary["counts"]
    return f"{word}: {counts['total_checks']} rules, {counts['errors']} errors, {counts['warnings']} warnings"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a feature is
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _count(number: int) -> str:
    return f"{number:,}"


def _short(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
