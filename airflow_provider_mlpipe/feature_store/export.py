"""A standard Feast repository, written out: what `feast apply`, `feast materialize` and `feast serve` take as it is.

Leaving is free: nothing in the folder needs this package, unless the offline data lie in a bucket. Feast's own stores
read those by what they do not bring along (s3fs, or an extension that DuckDB fetches from the network), so the file
names ours, and says what to put in its place. `feature_store.yaml` names the online store that is in use,
with a placeholder in place of every secret, and a registry of the folder's own: ``feast apply`` removes from its
registry whatever the folder does not define, so it must not be the one in use. `definitions.py` is Python for people.
"""

from __future__ import annotations

import io
import json
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP, Definition, spark_path
from airflow_provider_mlpipe.feature_store.offline import OfflineData
from airflow_provider_mlpipe.feature_store.settings import OFFLINE_STORE, Settings
from airflow_provider_mlpipe.feature_store.translation import with_placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["CONFIGURATION", "DEFINITIONS", "Export", "export"]

CONFIGURATION = "feature_store.yaml"
DEFINITIONS = "definitions.py"

_MARK = "Written by `mlpipe feast export`"
"""Stands in every file, by which a later export knows that it may be replaced."""

_ABOUT_CONFIGURATION = f"""\
# {_MARK}. A standard Feast repository: feast apply, feast materialize, feast serve.
# The registry is this folder's own, because `feast apply` removes from its registry what the folder does not define.
# The online store is the one in use. Stock `feast materialize` has no guard: it may write older rows over newer ones.
"""

_ABOUT_BUCKET = """\
# The offline data lie in a bucket. Feast's own offline stores need something for that: `type: file` needs s3fs (and the
# endpoint that definitions.py names), `type: duckdb` lets DuckDB fetch its httpfs extension. The one below reads them
# with pyarrow and needs airflow-provider-mlpipe; keys come from the AWS_* variables, as they do for `feast apply`.
"""

_ABOUT_SPARK = """\
# The offline data are read by Spark: the session that is active, else one made of spark_conf.
"""

_TYPES = {
    "BOOL": "Bool",
    "INT32": "Int32",
    "INT64": "Int64",
    "FLOAT": "Float32",
    "DOUBLE": "Float64",
    "STRING": "String",
    "BYTES": "Bytes",
    "UNIX_TIMESTAMP": "UnixTimestamp",
}
"""Feast's names in `feast.types` by its names of value types."""

_IMPORTED = ("timedelta", "Entity", "FeatureService", "FeatureView", "Field", "FileSource", "ValueType",
             "ParquetFormat", "SparkSource", "Array", *_TYPES.values())  # fmt: skip

_FILE_IMPORTS = (
    "from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType\n"
    "from feast.data_format import ParquetFormat\n"
)
_SPARK_IMPORTS = (
    "from feast import Entity, FeatureService, FeatureView, Field, ValueType\n"
    "from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource\n"
)


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written.

    Attributes:
        folder: the repository.
        views: the feature views that it defines.
        variables: environment variables that must hold the secrets; Feast puts them in, or the client of the bucket.
        without_data: of the views, those that nothing was materialized for, so that there is nothing to read offline.
    """

    folder: Path
    views: tuple[str, ...]
    variables: tuple[str, ...]
    without_data: tuple[str, ...]


def export(artifacts: Sequence[Artifact], folder: Path, store: FeatureStore, *, root: Storage) -> Export:
    """Write a Feast repository that defines the views of feature artifacts. An earlier export there is replaced.

    Args:
        artifacts: what `feature_extraction.extract` published, one per view.
        folder: where to; made if absent.
        store: where Feast is.
        root: the artifact root, below which the offline data are.

    Raises:
        ConfigError: not a feature artifact, two of one view, or `folder` holds files that an export did not write.
        StoreRejectedError: a feature is of a type that Feast does not hold exactly.
    """
    settings = Settings.of(store, root)
    definitions = [Definition.of(artifact) for artifact in artifacts]
    names = tuple(definition.view for definition in definitions)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError.invalid(
                where="feast export", key="ARTIFACT", problem=f"two artifacts of the view {name!r}", hint="Give one."
            )
    _refuse_foreign_files(folder)
    configuration, variables = _configuration(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIGURATION).write_text(configuration, encoding="utf-8")
    (folder / DEFINITIONS).write_text(_definitions(definitions, root, by_spark=settings.by_spark), encoding="utf-8")
    empty = tuple(name for name in names if not OfflineData(root, name).files())
    return Export(folder=folder, views=names, variables=variables, without_data=empty)


def _refuse_foreign_files(folder: Path) -> None:
    for name in (CONFIGURATION, DEFINITIONS):
        file = folder / name
        if file.exists() and _MARK not in file.read_text(encoding="utf-8", errors="replace"):
            raise ConfigError.invalid(
                where=str(file),
                key="DIR",
                problem="is there already, and no export wrote it",
                hint="Give a new folder.",
            )


def _configuration(settings: Settings) -> tuple[str, tuple[str, ...]]:
    """Return the YAML text, and the environment variables that stand in it for secrets."""
    from ruamel.yaml import YAML

    online, variables = with_placeholders(settings.online, prefix="FEAST_ONLINE")
    offline, more = with_placeholders(_offline_store(settings), prefix="FEAST_OFFLINE")
    document = {
        "project": settings.project,
        "provider": "local",
        "registry": "data/registry.db",
        "online_store": _quoted(online),
        "offline_store": _quoted(offline),
        "entity_key_serialization_version": 3,
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 1000
    yaml.dump(document, text)
    about = _ABOUT_SPARK if settings.by_spark else "" if settings.root.is_local else _ABOUT_BUCKET
    return _ABOUT_CONFIGURATION + about + text.getvalue(), variables + more + _aws_variables(settings.root)


def _aws_variables(root: Storage) -> tuple[str, ...]:
    """Return the variables by which a bucket's keys are given."""
    if root.is_local:
        return ()
    keys = {
        "AWS_ACCESS_KEY_ID": root.options.access_key,
        "AWS_SECRET_ACCESS_KEY": root.options.secret_key,
        "AWS_SESSION_TOKEN": root.options.session_token,
    }
    return tuple(name for name, value in keys.items() if value)


def _offline_store(settings: Settings) -> dict[str, Any]:
    if settings.by_spark:
        return settings.spark
    if settings.root.is_local:
        return {"type": "duckdb"}
    options = settings.root.options
    given = {"endpoint_url": options.endpoint_url, "region": options.region}
    return {"type": OFFLINE_STORE, "s3": {name: value for name, value in given.items() if value}}


def _quoted(settings: dict[str, Any]) -> dict[str, Any]:
    """Quote texts with a placeholder: what Feast puts there must not be taken for YAML."""
    from ruamel.yaml.scalarstring import SingleQuotedScalarString

    def quoted(value: Any) -> Any:  # noqa: ANN401 - any setting
        if isinstance(value, dict):
            return _quoted(value)
        return SingleQuotedScalarString(value) if isinstance(value, str) and "${" in value else value

    return {name: quoted(value) for name, value in settings.items()}


def _definitions(definitions: Sequence[Definition], root: Storage, *, by_spark: bool = False) -> str:
    """Return the Python text."""
    names = _Names()
    entities: dict[str, str] = {}
    blocks: list[str] = []
    for definition in definitions:
        if definition.entity not in entities:
            entities[definition.entity] = names.new(definition.entity)
            blocks.append(_entity(definition, entities[definition.entity]))
        source, lines = _source(definition, names, root, by_spark=by_spark)
        blocks.append("\n".join([*lines, "", *_view(definition, names, entities[definition.entity], source)]))
    body = "\n\n".join(blocks)
    plain = sorted(name for name in (*_TYPES.values(), "Array") if re.search(rf"\b{name}\b", body))
    views = ", ".join(definition.view for definition in definitions)
    return (
        f'"""Feast definitions of {views}. {_MARK}; plain Feast, yours to change."""\n\n'
        "from datetime import timedelta\n\n"
        f"{_SPARK_IMPORTS if by_spark else _FILE_IMPORTS}"
        f"from feast.types import {', '.join(plain)}\n\n"
        f"{body}\n"
    )


def _entity(definition: Definition, name: str) -> str:
    key = _text(definition.entity)
    kind = definition.columns[definition.entity]
    return f"{name} = Entity(name={key}, join_keys=[{key}], value_type=ValueType.{kind})"


def _source(definition: Definition, names: _Names, root: Storage, *, by_spark: bool) -> tuple[str, list[str]]:
    """Return the name and the lines of the offline data's source."""
    name = names.new(f"{definition.view}_source")
    pattern = OfflineData(root, definition.view).pattern
    endpoint = root.options.endpoint_url if not root.is_local else ""
    if by_spark:
        place = [f"    path={_text(spark_path(pattern))},", '    file_format="parquet",']
    else:
        place = [f"    path={_text(pattern)},"]
        place += [f"    s3_endpoint_override={_text(endpoint)},"] if endpoint else []
        place += ["    file_format=ParquetFormat(),"]
    return name, [
        f"{name} = {'SparkSource' if by_spark else 'FileSource'}(",
        f"    name={_text(f'{definition.view}_source')},",
        *place,
        f"    timestamp_field={_text(TIMESTAMP)},",
        *([f"    created_timestamp_column={_text(CREATED)},"] if definition.created else []),
        ")",
    ]


def _view(definition: Definition, names: _Names, entity: str, source: str) -> list[str]:
    view, service = names.new(definition.view), names.new(definition.service)
    common = [
        f"    tags={_mapping(definition.tags)},",
        f"    description={_text(definition.description)},",
        f"    owner={_text(definition.owner)},",
        ")",
    ]
    return [
        f"{view} = FeatureView(",
        f"    name={_text(definition.view)},",
        f"    entities=[{entity}],",
        f"    ttl={_length(definition.ttl)},",
        f"    source={source},",
        "    schema=[",
        *(f"        {line}" for line in _fields(definition)),
        "    ],",
        "    online=True,",
        *common,
        "",
        f"{service} = FeatureService(",
        f"    name={_text(definition.service)},",
        f"    features=[{view}],",
        *common,
    ]


def _fields(definition: Definition) -> Iterator[str]:
    for name, kind in definition.columns.items():
        text = definition.texts.get(name, "")
        said = f", description={_text(text)}" if text else ""
        yield f"Field(name={_text(name)}, dtype={_type(kind)}{said}),"


def _type(kind: str) -> str:
    """Return how Python code names a type.

    >>> _type("DOUBLE"), _type("STRING_LIST")
    ('Float64', 'Array(String)')
    """
    scalar = _TYPES[kind.removesuffix("_LIST")]
    return f"Array({scalar})" if kind.endswith("_LIST") else scalar


def _length(length: timedelta) -> str:
    if length.seconds or length.microseconds:
        return f"timedelta(seconds={length.total_seconds():g})"
    return f"timedelta(days={length.days})"


def _mapping(values: dict[str, str]) -> str:
    return f"{{{', '.join(f'{_text(key)}: {_text(value)}' for key, value in values.items())}}}"


def _text(value: str) -> str:
    """Return a Python literal in double quotes."""
    return json.dumps(value, ensure_ascii=False)


class _Names:
    """Python names, none twice and none that the file imports."""

    def __init__(self) -> None:
        self._taken = set(_IMPORTED)

    def new(self, text: str) -> str:
        """Return a name that says `text`."""
        name = re.sub(r"\W", "_", text) or "_"
        if name[0].isdigit():
            name = f"_{name}"
        while name in self._taken or keyword.iskeyword(name):
            name += "_"
        self._taken.add(name)
        return name
