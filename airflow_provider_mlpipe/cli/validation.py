"""``mlpipe validate``: artifacts, or files that no stage wrote, judged by the rules of their datasets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import (
    AsOf,
    Json,
    SparkMaster,
    common_interval,
    interval_of,
    located,
    open_artifact,
    pairs,
    storage,
)
from airflow_provider_mlpipe.cli.results import results
from airflow_provider_mlpipe.cli.surroundings import current
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, ConfigError, DataRejectedError, PublishError
from airflow_provider_mlpipe.run import Run, instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, DatasetRules
    from airflow_provider_mlpipe.validation import Sifting, Verdict

__all__ = ["validate"]

_NAMED = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<uri>.+)")

Artifacts = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME=]ARTIFACT...",
        help="An artifact's URI or folder; or parquet, CSV or JSON files: a file, a folder or a glob. Several by name.",
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset",
        metavar="[NAME=]RULES",
        help="The rules' name in the file; the artifact's name, else its dataset, if absent.",
    ),
]
Related = Annotated[
    list[str] | None, typer.Option(metavar="NAME=URI", help="Another artifact that rules refer to by this name.")
]
SiftRoot = Annotated[
    str | None,
    typer.Option(
        "--root",
        envvar="MLPIPE_ARTIFACT_ROOT",
        help="The artifact root, for clean rows, quarantine, and verdicts on files that no stage wrote; else that of "
        "the artifact, or ./artifacts.",
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="scan, spark, or gx for Great Expectations on pandas; what the rules say if absent.",
    ),
]
JUnit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, for a CI system.")]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write a summary for a chat or a pull request.")
]
DataDocs = Annotated[
    Path | None, typer.Option("--data-docs", metavar="DIR", help="Build Great Expectations' Data Docs.")
]


def validate(  # noqa: PLR0913, PLR0917 - each is an option
    artifact: Artifacts,
    config: Annotated[Path, typer.Option("--config", help="The validation file.")] = Path(
        "config/validation_config.yaml"
    ),
    dataset: Datasets = None,
    related: Related = None,
    root: SiftRoot = None,
    as_of: AsOf = None,
    engine: Judge = None,
    master: SparkMaster = "",
    junit: JUnit = None,
    markdown: Markdown = None,
    data_docs: DataDocs = None,
    as_json: Json = False,
) -> int:
    """Judge artifacts by the rules of their datasets; leaves suite, verdict and report beside the data.

    Rows that break a rule of on_failure: quarantine are taken out, and the others are passed on as an artifact of their
    own. Exits with 1 if a rule of severity ERROR failed on what would be passed on. --as-of is the end of the
    artifacts' own interval if absent; files that no stage wrote have none, so they need it.
    """
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe import validation

    with results(as_json=as_json) as out:
        given, named = _given(artifact), _datasets(dataset, artifact)
        opened = _Opener(storage(root) if root else None, as_of)
        artifacts = {name: opened.open(uri, named.get(name, name)) for name, uri in given.items()}
        file = located(config)
        rules = {
            name: configs.dataset_rules(file, named.get(name) or name or each.manifest.dataset)
            for name, each in artifacts.items()
        }
        others = {name: opened.open(uri, name) for name, uri in pairs(related, option="--related").items()}
        moment = instant(as_of) if as_of is not None else common_interval(artifacts.values()).end
        choices: dict[str, Any] = {"runner": engine} if engine else {}
        choices |= {"spark": current().spark(master), "engine": current().duckdb()}
        with out.progress(f"validating {', '.join(each.name for each in rules.values())}"):
            sifted = validation.sift_all(
                artifacts, rules, as_of=moment, root=opened.root, run=opened.run, related=others, **choices
            )
        _write(sifted.values(), junit, markdown, data_docs)
        document = _documents(sifted, rules)
        error = _rejection(sifted.values())
        if error is not None and as_json:
            out.emit({**document, "error": error.as_dict()}, lambda _console: None)
            return DataRejectedError.exit_code

        def people(console: Console) -> None:
            for each in sifted.values():
                console.print(each.summary(), markup=False)
                console.print(f"report: {each.first.report}", markup=False)
                if each.division is not None:
                    console.print(f"artifact: {each.artifact.uri}", markup=False)

        if error is not None:
            raise error
        out.emit(document, people)
    return 0


class _Opener:
    """Opens artifacts, and makes artifacts of files that no stage wrote."""

    def __init__(self, root: Storage | None, as_of: str | None) -> None:
        self.root = root
        self.run = Run(task_id="validate", interval=interval_of(as_of))

    def open(self, uri: str, dataset: str) -> Artifact:
        from airflow_provider_mlpipe.ingestion import adopt

        try:
            return open_artifact(uri)
        except ArtifactNotFoundError:
            if not dataset:
                raise
        place = self.root or storage("./artifacts")
        return adopt(uri, dataset=dataset, root=place, run=self.run, options=current().s3(uri))


def _given(texts: Sequence[str]) -> dict[str, str]:
    """Return artifacts by name; one alone needs no name.

    Raises:
        ConfigError: several, and one without a name, or two of one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        match = None if Path(text).exists() else _NAMED.fullmatch(text)
        name, uri = (match["name"], match["uri"]) if match else ("", text)
        if name in found or (not name and len(texts) > 1):
            problem = "given twice" if name else "several artifacts need names"
            raise ConfigError.invalid(where="mlpipe validate", key=text, problem=problem, hint="Write NAME=ARTIFACT.")
        found[name] = uri
    return found


def _datasets(texts: Sequence[str] | None, artifacts: Sequence[str]) -> dict[str, str]:
    """Return the names of rules by the names of artifacts."""
    if texts and len(texts) == 1 and "=" not in texts[0]:
        return dict.fromkeys(_given(artifacts), texts[0])
    return pairs(texts, option="--dataset")


def _rejection(sifted: Iterable[Sifting]) -> DataRejectedError | None:
    from airflow_provider_mlpipe.validation import raise_if_any_blocked

    try:
        raise_if_any_blocked(sifted)
    except DataRejectedError as error:
        return error
    return None


def _write(sifted: Collection[Sifting], junit: Path | None, markdown: Path | None, data_docs: Path | None) -> None:
    """Write what was asked for, whatever the verdict."""
    from airflow_provider_mlpipe.reporting.junit import junit as as_junit
    from airflow_provider_mlpipe.reporting.markdown import markdown as as_markdown

    verdicts = [verdict for each in sifted for verdict in (each.first, each.clean) if verdict is not None]
    # What is left and passed is told with what it was taken from; what failed again, by itself.
    told = [verdict for each in sifted for verdict in [each.first, *_failed_again(each)]]
    summaries = [summary for verdict in told if (summary := verdict.artifact.verdict()) is not None]
    if junit is not None:
        _save(junit, as_junit(summaries))
    if markdown is not None:
        _save(markdown, "\n---\n\n".join(map(as_markdown, summaries)))
    if data_docs is not None:
        from airflow_provider_mlpipe.validation.data_docs import build_data_docs

        build_data_docs([verdict.artifact for verdict in verdicts], data_docs)


def _failed_again(sifting: Sifting) -> list[Verdict]:
    return [sifting.clean] if sifting.clean is not None and not sifting.clean.passed else []


def _save(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PublishError.failed(str(path), error.strerror or str(error)) from error


def _documents(sifted: Mapping[str, Sifting], rules: Mapping[str, Configured[DatasetRules]]) -> dict[str, Any]:
    """Return one result as it is, several by name."""
    found = {name: _document(each, rules[name].name) for name, each in sifted.items()}
    if list(found) == [""]:
        return found[""]
    return {"passed": all(each.passed for each in sifted.values()), "artifacts": found}


def _document(sifting: Sifting, dataset: str) -> dict[str, Any]:
    return {
        "passed": sifting.passed,
        "dataset": dataset,
        "artifact": sifting.artifact.uri,
        "judged": sifting.first.artifact.uri,
        "quarantine": sifting.quarantine.uri if sifting.quarantine else None,
        "report": sifting.first.report,
        "counts": dict(sifting.counts),
        "verdict": sifting.artifact.verdict(),
        "summary": sifting.summary(),
    }
