"""What a configuration file holds, and everything that is wrong with it: the work of ``mlpipe check``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config.document import Document, Path_, load
from airflow_provider_mlpipe.config.features import RESERVED, FeatureSet, FeatureStore
from airflow_provider_mlpipe.config.files import Configured
from airflow_provider_mlpipe.config.ingestion import IngestionFile, Source
from airflow_provider_mlpipe.config.rules import Rule
from airflow_provider_mlpipe.config.section import Section, parse
from airflow_provider_mlpipe.config.validation import DatasetRules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Holding", "Overview", "kind_of", "overview"]


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One named thing in a file: a source, a dataset's rules, a feature set, the store."""

    name: str
    where: str
    summary: str


@dataclass(kw_only=True)
class Overview:
    """What a file holds.

    Attributes:
        kind: ``ingestion``, ``validation``, ``features``, or ``unknown``.
        notes: what is not wrong, but will be missed where the file is used: environment variables.
        problems: everything that is wrong.
    """

    file: str
    kind: str = "unknown"
    holdings: list[Holding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)


def overview(path: Path) -> Overview:
    """Read a file of any kind; nothing that is wrong with it is raised, all is collected."""
    found = Overview(file=str(path))
    try:
        document = load(path)
        found.kind = kind_of(document)
    except ConfigError as error:
        found.problems.append(str(error))
        return found
    for place, variable in document.missing.items():
        key = ".".join(map(str, place))
        found.notes.append(f"{document.where(place)}: {key} needs the environment variable {variable}, which is unset")
    # Who checks a file need not have what its users need: the names of the variables stand in for their values.
    document = replace(document, missing={})
    for path_, model in _parts(document, found.kind):
        try:
            read = parse(model, document, path_)
            _check_rules(read, document, path_)
        except ConfigError as error:
            found.problems.extend(error.fields.get("problems") or [str(error)])
            continue
        if isinstance(read, FeatureSet):
            _plan(Configured(name=str(path_[-1]), model=read, document=document, path=path_), found)
        name = str(path_[-1]) if path_ else found.kind
        found.holdings.append(Holding(name=name, where=document.where(path_), summary=_summary(read)))
    return found


def _plan(features: Configured[FeatureSet], found: Overview) -> None:
    """Resolve a feature set as a run would, and note what it does not get."""
    from airflow_provider_mlpipe.feature_extraction.plan import plan

    try:
        spec = plan(features)
    except ConfigError as error:
        found.problems.append(str(error))
        return
    for feature, columns in spec.left_out.items():
        found.notes.append(f"{features.where('columns')}: {feature} is left out: columns says that there is no "
                           f"{' and no '.join(columns)}")  # fmt: skip
    pandas = [function.path for function in spec.functions() if function.pandas]
    if pandas:
        found.notes.append(f"{features.where('custom')}: {', '.join(pandas)} computes with pandas: on DuckDB only")


def kind_of(document: Document) -> str:
    """Tell a file's kind from its keys.

    Raises:
        ConfigError: it could be any, or none.
    """
    top = document.data
    if "sources" in top or (set(top) & {"type"} and isinstance(top["type"], str)):
        return "ingestion"
    if RESERVED in top:
        return "features"
    keys = {key for part in top.values() if isinstance(part, dict) for key in part}
    rules = {info.alias or name for name, info in DatasetRules.model_fields.items()}
    votes = {"validation": len(keys & rules), "features": len(keys & set(FeatureSet.model_fields))}
    best, other = sorted(votes, key=lambda kind: -votes[kind])
    if votes[best] == votes[other]:
        raise ConfigError(
            f"{document.name}: cannot tell what kind of configuration this is.",
            hint="An ingestion file has sources:, a validation file has datasets with rules such as required_columns:, "
            "a feature file has sets with features:.",
        )
    return best


def _parts(document: Document, kind: str) -> list[tuple[Path_, Any]]:
    top = document.data
    if kind == "ingestion":
        if "sources" not in top:
            return [((), Source)]
        if set(top) == {"sources"} and isinstance(top["sources"], dict) and top["sources"]:
            return [(("sources", name), Source) for name in top["sources"]]
        return [((), IngestionFile)]  # which then says what is wrong with the frame
    if kind == "validation":
        return [((name,), DatasetRules) for name in top]
    return [((name,), FeatureStore if name == RESERVED else FeatureSet) for name in top]


def _summary(model: Any) -> str:  # noqa: ANN401 - any of the models
    if isinstance(model, DatasetRules):
        return _rules(model)
    if isinstance(model, FeatureSet):
        names = [*model.features] or [*model.aggregations, *model.derived]
        return f"{len(names)} features, window {model.aggregation_window}: {', '.join(names)}"
    if isinstance(model, FeatureStore):
        online = model.online_store.get("type", "sqlite")
        gate = "passed verdicts required" if model.require_validation else "unvalidated data allowed"
        return f"project {model.project}, online store {online}, {gate}"
    return _source(model)


def _check_rules(model: Any, document: Document, path: Path_) -> None:  # noqa: ANN401 - any of the models
    """Read what the models alone do not: expressions, patterns, bounds, references of rules.

    Raises:
        ConfigError: a rule that no data could make sense of.
    """
    if isinstance(model, DatasetRules):
        from airflow_provider_mlpipe.validation.rules import rules_of

        rules_of(Configured(name=str(path[-1]), model=model, document=document, path=path), instant("1970-01-01"))


def _rules(model: DatasetRules) -> str:
    rules = list(_stated(model))
    by_severity = {name: sum(rule.severity == name for rule in rules) for name in ("ERROR", "WARNING", "INFO")}
    counted = ", ".join(f"{number} {name}" for name, number in by_severity.items() if number)
    return f"{len(rules)} rules: {counted}" if rules else "no rules"


def _stated(value: Any) -> Iterator[Rule]:  # noqa: ANN401 - a model, or what stands in its fields
    """Yield every rule at or below a value."""
    if isinstance(value, Rule):
        yield value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _stated(getattr(value, name))
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _stated(each)


def _source(model: Any) -> str:  # noqa: ANN401 - one of the sources
    what = getattr(model, "table", None) or ("query" if getattr(model, "query", None) else None)
    place = what or getattr(model, "path", None) or "endpoint"
    parts = [f"{model.type} {place}"]
    if model.incremental:
        parts.append(f"{model.incremental.window} by {model.incremental.cursor_column}")
    if model.deduplicate:
        parts.append(f"one row per {', '.join(model.deduplicate.keys)}")
    return "; ".join(parts)
