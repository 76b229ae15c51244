"""The whole pipeline in one process, without Airflow: the order of the stages and what each came to."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe import config as configs
from airflow_provider_mlpipe.cli.options import located, store_of
from airflow_provider_mlpipe.cli.surroundings import current
from airflow_provider_mlpipe.observability import Stopwatch
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, DatasetRules, FeatureSet, FeatureStore
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.run import Interval
    from airflow_provider_mlpipe.validation import Sifting

    Watch = Callable[[str], AbstractContextManager[Callable[[int], None]]]
    """Told what begins; gives what to call with the rows so far."""

__all__ = ["SOURCES", "Outcome", "Pipeline", "Step"]

SOURCES = {"users": "user_data", "activity": "activity_data"}
"""The source of each role, unless another is named."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the final table: what a stage did, on what, and what it took.

    Attributes:
        verdict: what was found, in a few words; empty where nothing is judged.
        cpu_seconds: user and system time, imports of the stage's libraries included.
    """

    stage: str
    name: str
    rows_in: int
    rows_out: int
    verdict: str
    cpu_seconds: float


@dataclass(kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        artifacts: URIs by source, and by feature set.
        reports: URIs of the validation reports by source.
        view: the Feast view that now serves the features.
    """

    steps: list[Step] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    view: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)


class Pipeline:
    """Ingest, validate, extract, materialize.

    All configuration is read before anything else, so that a mistake in the last file does not cost the first stages.

    Args:
        ingestion: the ingestion file.
        validation: the validation file.
        features: the feature file.
        feature_set: which of its sets.
        sources: source by role; `SOURCES` for those that are not named.
        root: the artifact root.
        interval: the run's interval; its end is the as_of.
        conn_id: the Airflow connection to read all sources by, in place of the file's.
        feast_conn_id: the Airflow connection that says where Feast is, in place of the file.

    Raises:
        ConfigError: any of the files is wrong.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, by name
        self,
        *,
        ingestion: Path,
        validation: Path,
        features: Path,
        root: Storage,
        interval: Interval,
        feature_set: str = "user_features",
        sources: Mapping[str, str] | None = None,
        conn_id: str | None = None,
        feast_conn_id: str | None = None,
    ) -> None:
        self.root = root
        self.interval = interval
        self.feature_set: Configured[FeatureSet] = configs.feature_set(located(features), feature_set)
        self.store: FeatureStore = store_of(features, feast_conn_id)
        self.sources: dict[str, Configured[Any]] = {
            role: configs.source(located(ingestion), name) for role, name in {**SOURCES, **(sources or {})}.items()
        }
        self.rules: dict[str, Configured[DatasetRules]] = {
            role: configs.dataset_rules(located(validation), source.model.dataset or source.name)
            for role, source in self.sources.items()
        }
        self.connections: dict[str, Connection | None] = {
            role: current().connection(source, conn_id) for role, source in self.sources.items()
        }
        self.outcome = Outcome()

    def run(self, watch: Watch | None = None) -> Outcome:
        """Run all stages.

        Raises:
            DataRejectedError: a rule of severity ERROR failed; nothing went online, `outcome` has the steps so far.
            MlpipeError: as each stage says.
        """
        watch = watch or _unwatched
        inputs = self._validate({role: self._ingest(role, watch) for role in self.sources}, watch)
        features = self._extract(inputs, watch)
        self._materialize(features, watch)
        return self.outcome

    def _run_of(self, task: str) -> Run:
        return Run(task_id=task, interval=self.interval)

    def _ingest(self, role: str, watch: Watch) -> Artifact:
        from airflow_provider_mlpipe import ingestion

        source, spent = self.sources[role], Stopwatch()
        with watch(f"ingesting {source.name}") as progress:
            artifact: Artifact = ingestion.ingest(
                source, root=self.root, run=self._run_of(f"ingest.{source.name}"),
                connection=self.connections[role], progress=progress,
            )  # fmt: skip
        manifest = artifact.manifest
        rejected = manifest.metrics.get("records_failed", 0)
        self._note(
            "ingest", source.name, manifest.metrics.get("records_read", manifest.rows), manifest.rows,
            f"{rejected} quarantined" if rejected else "", spent,
        )  # fmt: skip
        self.outcome.artifacts[source.name] = artifact.uri
        return artifact

    def _validate(self, inputs: Mapping[str, Artifact], watch: Watch) -> dict[str, Artifact]:
        """Judge all inputs before the first rejection counts, so that a user sees all that is wrong."""
        from airflow_provider_mlpipe import validation

        sifted: dict[str, Sifting] = {}
        for role, artifact in inputs.items():
            name, spent = self.sources[role].name, Stopwatch()
            with watch(f"validating {name}"):
                # Rules name each other's datasets as the roles do, and see what was passed on of those before.
                others = {other: found.artifact for other, found in sifted.items()} | {
                    other: found for other, found in inputs.items() if other != role and other not in sifted
                }
                sifting = validation.sift(
                    artifact, self.rules[role], as_of=self.interval.end, root=self.root,
                    run=self._run_of(f"validate.{name}"), related=others,
                    engine=current().duckdb(), spark=current().spark(""),
                )  # fmt: skip
            sifted[role] = sifting
            counts, rows, kept = sifting.counts, artifact.manifest.rows, sifting.artifact.manifest.rows
            found = f"{_counted(counts['errors'], 'error')}, {_counted(counts['warnings'], 'warning')}"
            taken = f", {counts['rows_quarantined']} quarantined" if sifting.quarantine else ""
            word = "passed" if sifting.passed else "rejected"
            self._note("validate", name, rows, kept if sifting.passed else 0, f"{word}: {found}{taken}", spent)
            self.outcome.reports[name] = sifting.first.report
        validation.raise_if_any_blocked(sifted.values())
        return {role: sifting.artifact for role, sifting in sifted.items()}

    def _extract(self, inputs: Mapping[str, Artifact], watch: Watch) -> Artifact:
        from airflow_provider_mlpipe import feature_extraction

        name, spent = self.feature_set.name, Stopwatch()
        with watch(f"extracting {name}"):
            made = feature_extraction.extract(
                self.feature_set, inputs, root=self.root, run=self._run_of(f"extract.{name}"), as_of=self.interval.end,
                engine=current().engine(self.feature_set.model.engine),
            )  # fmt: skip
        artifact: Artifact = made.artifact
        rows_in = sum(item.manifest.rows for item in inputs.values())
        number = made.metrics.get("features")
        self._note(
            "extract", name, rows_in, artifact.manifest.rows, _counted(number, "feature") if number else "", spent
        )
        self.outcome.artifacts[name] = artifact.uri
        return artifact

    def _materialize(self, features: Artifact, watch: Watch) -> None:
        from airflow_provider_mlpipe import feature_store

        spent = Stopwatch()
        with watch(f"materializing {features.manifest.dataset}"):
            done = feature_store.materialize(features, self.store, root=self.root)
        verdict = done.skipped or f"{done.rows_read_back} read back, {done.mismatches} differ"
        self._note("materialize", done.view, features.manifest.rows, done.rows, verdict, spent)
        self.outcome.view = done.view

    def _note(self, stage: str, name: str, rows_in: int, rows_out: int, verdict: str, spent: Stopwatch) -> None:
        cpu = round(spent.readings()["cpu_seconds"], 2)
        step = Step(stage=stage, name=name, rows_in=rows_in, rows_out=rows_out, verdict=verdict, cpu_seconds=cpu)
        self.outcome.steps.append(step)


def _unwatched(_label: str) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _rows: None)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
