"""``mlpipe features``: what features there are, and what is behind each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli import fitting
from airflow_provider_mlpipe.cli.options import Inputs, Json, located, open_artifact, pairs
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.explanation import Explanation

__all__ = ["add_to"]

Config = Annotated[Path | None, typer.Option("--config", help="The feature file; the built-in catalog without one.")]


def add_to(app: typer.Typer) -> None:
    """Register the group and its commands."""
    group = typer.Typer(name="features", help="Features: what there is, what is behind each.", no_args_is_help=True)
    group.command("list")(list_)
    group.command()(explain)
    fitting.add_to(group)
    app.add_typer(group)


def list_(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="A feature file; the built-in catalog without one.")
    ] = None,
    blocks: Annotated[bool, typer.Option("--blocks", help="Also what the catalog's features are built of.")] = False,
    as_json: Json = False,
) -> None:
    """List the features of a file's sets, selected or not, or of the built-in catalog: what, unit, range, cost."""
    with results(as_json=as_json) as out:
        rows = [row for features in _sets(config) for row in _rows(features)]
        rows = [row for row in rows if blocks or not row["block"]]
        columns = ("set", "feature", "selected", "unit", "range", "cost", "description")

        def people(console: Console) -> None:
            console.print(table("", columns, [[row[name] for name in columns] for row in rows]))

        out.emit({"features": rows}, people)


def explain(
    name: Annotated[str, typer.Argument(help="The feature; SET.FEATURE where several sets have it.")],
    config: Config = None,
    inputs: Inputs = None,
    as_of: Annotated[str, typer.Option("--as-of", metavar="TIME", help="The moment that the SQL is for.")] = (
        "2026-01-01"
    ),
    as_json: Json = False,
) -> None:
    """Say what is behind a feature: formula, aggregations, windows, cost, lineage, SQL.

    The SQL is DuckDB's, with likely column types unless --input ROLE=ARTIFACT gives the real ones.
    """
    with results(as_json=as_json) as out:
        from airflow_provider_mlpipe.feature_extraction.explanation import explain as explained

        features, feature = _found(name, config)
        schemas = {role: open_artifact(uri).schema for role, uri in pairs(inputs, option="--input").items()}
        found = explained(features, feature, as_of=instant(as_of), schemas=schemas or None)
        out.emit(_document(features.name, found), lambda console: _show(features.name, found, console))


def _sets(config: Path | None) -> list[Configured[FeatureSet]]:
    """Return the sets of a file, or one per entity of the catalog."""
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe.config.features import RESERVED

    if config is not None:
        config = located(config)
        names = [name for name in configs.document_of(config).data if name != RESERVED]
        return [configs.feature_set(config, name) for name in names]
    from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS

    names = [f"{entity.removesuffix('_id')}_features" for entity in DOMAINS]
    return [configs.feature_set({name: {}}, name) for name in names]


def _rows(features: Configured[FeatureSet]) -> list[dict[str, Any]]:
    from dataclasses import replace

    from airflow_provider_mlpipe.errors import ConfigError
    from airflow_provider_mlpipe.feature_extraction.catalog.shorthand import BLOCK
    from airflow_provider_mlpipe.feature_extraction.explanation import cost_of
    from airflow_provider_mlpipe.feature_extraction.plan import plan, scope_of

    selected = {feature.name for feature in plan(features).features}
    rows = []
    for name in scope_of(features).names():
        only = replace(features, model=features.model.model_copy(update={"features": [name]}))
        try:
            spec = plan(only)
        except ConfigError as error:
            rows.append(_row(features.name, name, selected=False, description=error.message))
            continue
        (feature,) = spec.features
        meaning = feature.meaning
        rows.append(
            _row(
                features.name, name, selected=name in selected, unit=meaning.unit, range=meaning.range,
                cost=cost_of(spec, feature), description=meaning.description,
                block=meaning.source == BLOCK,
            )
        )  # fmt: skip
    return rows


def _row(set_name: str, feature: str, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - of every kind
    return {
        "set": set_name,
        "feature": feature,
        "selected": False,
        "unit": "",
        "range": "",
        "cost": "",
        "block": False,
        **facts,
    }


def _found(name: str, config: Path | None) -> tuple[Configured[FeatureSet], str]:
    """Return the set and the feature that a name means.

    Raises:
        ConfigError: none, or several.
    """
    from airflow_provider_mlpipe.errors import ConfigError
    from airflow_provider_mlpipe.feature_extraction.plan import scope_of

    sets = {features.name: features for features in _sets(config)}
    owner, dot, feature = name.rpartition(".")
    if dot and owner in sets:
        return sets[owner], feature
    found = [features for features in sets.values() if scope_of(features).find(name) is not None]
    where = str(config or "catalog")
    if len(found) == 1:
        return found[0], name
    if found:
        owners = ", ".join(f"{features.name}.{name}" for features in found)
        raise ConfigError.invalid(where=where, key=name, problem="is in several sets", hint=f"Write one of {owners}.")
    known = {feature for features in sets.values() for feature in scope_of(features).names()}
    raise ConfigError.unknown_name(where=where, kind="feature", name=name, known=known)


def _document(set_name: str, found: Explanation) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "set": set_name,
        "feature": found.feature.name,
        "type": found.feature.type,
        **asdict(found.feature.meaning),
        "where": found.feature.where,
        "expression": found.expression,
        "numbers": list(found.numbers),
        "cost": found.cost,
        "embedded_only": found.embedded_only,
        "lineage": [edge.as_dict() for edge in found.lineage],
        "sql": dict(found.sql),
    }


def _show(set_name: str, found: Explanation, console: Console) -> None:
    meaning = found.feature.meaning
    facts = [
        ("set", set_name), ("declared at", found.feature.where), ("description", meaning.description),
        ("unit", meaning.unit), ("range", meaning.range), ("type", found.feature.type), ("formula", found.formula),
        ("why so", meaning.source), ("computed as", found.expression), ("cost", found.cost),
        ("engine", "DuckDB only" if found.embedded_only else ""),
    ]  # fmt: skip
    console.print(table(found.feature.name, ("", ""), [fact for fact in facts if fact[1]]))
    for line in found.numbers:
        console.print(line, markup=False)
    edges = [(f"{edge.role}.{edge.column}", edge.kind) for edge in found.lineage]
    console.print(table("Lineage", ("column", "takes part as"), edges))
    for name, sql in found.sql:
        console.print(f"-- {name}\n{sql};\n", markup=False)
