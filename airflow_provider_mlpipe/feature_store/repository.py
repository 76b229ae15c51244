"""An existing Feast repository, used as it is: ``feature_store: {repo: path}``.

Registry, project and online store are those of its ``feature_store.yaml``; its definitions are those that ``feast
apply`` has put into that registry. Nothing is generated and nothing is applied from here: the feature view that an
artifact is for must be there, and must fit.

What holds as without a repository: exactly the artifact's rows go online, whatever the repository's offline store is,
because it is left out of it; the gate, newer rows that stay, locks, a stuck state, the read-back.

What does not: `get_historical_features` of the store that `open_store` returns reads the sources that the repository
defines, in its own offline store. The artifacts' rows are kept below the artifact root all the same
(``_feast/offline/<view>/*.parquet``); let the view's FileSource name that place and the past is one. Registries of
other types than ``file`` (on a local disk) and ``sql`` can be read from, not written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.storage import local_path
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP
from airflow_provider_mlpipe.feature_store.translation import translated

if TYPE_CHECKING:
    from airflow_provider_mlpipe.feature_store.definitions import Definition

__all__ = ["Repository", "check", "config_of"]

FILE = "feature_store.yaml"


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What a repository's ``feature_store.yaml`` says.

    Attributes:
        folder: where it is.
        project: Feast's project.
        registry: a SQLAlchemy URL, or a path if `registry_is_file`.
        online: Feast's settings of the online store, its file's path absolute.
        unwritable: why nothing can be written through it; empty if it can.
    """

    folder: Path
    project: str
    registry: str = field(repr=False)
    registry_is_file: bool
    online: dict[str, Any] = field(repr=False)
    unwritable: str = ""

    @classmethod
    def read(cls, path: str) -> Repository:
        """Read it.

        Raises:
            ConfigError: there is none, or Feast does not take it; never shows a value, which may be secret.
        """
        folder = Path(local_path(path))
        config = config_of(folder)
        with translated((), doing=f"read {folder / FILE}", refusal=ConfigError):
            kind, place = str(config.registry.registry_type), str(config.registry.path)
            online = config.online_config
            online = {"type": online} if isinstance(online, str) else dict(online or {"type": "sqlite"})
            if str(online.get("type", "")).endswith(("sqlite", "SqliteOnlineStore")):
                online |= {"type": "sqlite", "path": str(folder / config.online_store.path)}
        is_file = kind == "file" and "://" not in place.removeprefix("file://")
        unwritable = ""
        if not is_file and kind != "sql":
            unwritable = f"its registry is of type {kind!r}" + (", in a bucket" if kind == "file" else "")
        return cls(
            folder=folder,
            project=config.project,
            registry=str(folder / place.removeprefix("file://")) if is_file else place,
            registry_is_file=is_file,
            online=online,
            unwritable=unwritable,
        )

    def refuse_unwritable(self) -> None:
        """Pass if its registry is one that several may write to under our lock, or by itself.

        Raises:
            ConfigError: it is not.
        """
        if self.unwritable:
            raise ConfigError.invalid(
                where=str(self.folder / FILE),
                key="registry",
                problem=f"nothing can be materialized through this repository: {self.unwritable}",
                hint="Use a registry of type sql, or a file on a local disk.",
            )


def config_of(folder: Path) -> Any:  # noqa: ANN401 - feast has no types
    """Return Feast's own reading of a repository's settings.

    Raises:
        ConfigError: there is none, or Feast does not take it.
    """
    file = folder / FILE
    if not file.is_file():
        raise ConfigError.invalid(
            where="feature_store",
            key="repo",
            problem=f"there is no {FILE} in {folder}",
            hint="Give the folder of a Feast repository.",
        )
    with translated((), doing=f"read {file}", refusal=ConfigError):
        from feast.repo_config import FeastConfigError, load_repo_config

        try:
            return load_repo_config(folder, file)
        except FeastConfigError as error:  # its text shows the values, which may be secret
            found = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error._error.errors()]  # noqa: SLF001
            raise ConfigError.invalid(
                where=str(file), key="feature_store.yaml", problem="; ".join(found), hint="Feast does not take it."
            ) from None


def check(opened: Any, definition: Definition, folder: Path, *, complete: bool) -> None:  # noqa: ANN401
    """Pass if the registry's feature view is one for these rows.

    Args:
        opened: a `feast.FeatureStore`.
        definition: what the rows are.
        folder: the repository.
        complete: whether the online store has the view's table.

    Raises:
        ConfigError: there is no such view, or its entity, features, types or times are others.
    """
    where = f"{folder}: feature view {definition.view!r}"
    views = {view.name: view for view in opened.registry.list_feature_views(opened.project)}
    if definition.view not in views:
        hint = f"feast -c {folder} apply puts its definitions into the registry; feast.view in the YAML names the view."
        raise ConfigError.unknown_name(
            where=str(folder), kind="feature view", name=definition.view, known=views, hint=hint
        )
    if not complete:
        raise _unfit(where, "online_store", "it has no table for the view")
    view = views[definition.view]
    keys = [column.name for column in view.entity_columns]
    if keys != [definition.entity]:
        known = ", ".join(keys) or "none"
        raise _unfit(where, "entities", f"its key is {known}, the artifact's is {definition.entity}")
    theirs = {column.name: column.dtype.to_value_type().name for column in (*view.entity_columns, *view.features)}
    for name in definition.columns:
        if name not in theirs:
            hint = "Define it there, or take it out of the feature set's selection."
            raise ConfigError.unknown_name(where=where, kind="feature", name=name, known=theirs, hint=hint)
    for name, kind in theirs.items():
        if name not in definition.columns:
            raise ConfigError.unknown_name(
                where=f"{where}: the artifact", kind="feature", name=name, known=definition.columns,
                hint="Select it in the feature set, or take it out of the view.",
            )  # fmt: skip
        if definition.columns[name] != kind:
            raise _unfit(where, name, f"it is {kind} there, {definition.columns[name]} in the artifact")
    source = view.batch_source
    times = (source.timestamp_field, source.created_timestamp_column or CREATED)
    if times != (TIMESTAMP, CREATED) or source.field_mapping:
        found = f"its source has the times {', '.join(times)}" + (
            " and a field_mapping" if source.field_mapping else ""
        )
        raise _unfit(where, "source", f"{found}; artifacts have {TIMESTAMP} and {CREATED}, and are read unmapped")


def _unfit(where: str, key: str, problem: str) -> ConfigError:
    return ConfigError.invalid(
        where=where, key=key, problem=problem, hint="Change the repository's definition or the feature set, and apply."
    )
