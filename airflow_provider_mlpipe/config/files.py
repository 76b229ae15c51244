"""From a YAML file (or the same as a Python mapping) to typed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from airflow_provider_mlpipe.config.document import Document, Inline, Path_, load, of_mapping
from airflow_provider_mlpipe.config.features import RESERVED, FeatureSet, FeatureStore
from airflow_provider_mlpipe.config.ingestion import Source
from airflow_provider_mlpipe.config.section import parse
from airflow_provider_mlpipe.config.validation import DatasetRules
from airflow_provider_mlpipe.errors import ConfigError

__all__ = [
    "ConfigLike",
    "Configured",
    "dataset_rules",
    "document_of",
    "feature_set",
    "feature_store",
    "source",
]

ConfigLike = str | Path | Mapping[str, Any]
"""A YAML file's path, or what would stand in it."""

Model_co = TypeVar("Model_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Configured(Generic[Model_co]):
    """One named piece of configuration, and where it stands.

    Attributes:
        name: its name in the file.
        model: its typed content.
        document: the file it comes from.
        path: the way to it in the file.
    """

    name: str
    model: Model_co
    document: Document
    path: Path_

    def where(self, *below: str | int) -> str:
        """Return ``file:line`` of a value below this piece."""
        return self.document.where((*self.path, *below))


def document_of(config: ConfigLike, name: str = "config") -> Document:
    """Read `config` if it is a path; `name` is what to call a mapping that does not say where it stands."""
    if not isinstance(config, Mapping):
        return load(config)
    return of_mapping(config, config.place if isinstance(config, Inline) else name)


def source(config: ConfigLike, name: str) -> Configured[Source]:
    """Return one source of an ingestion file, or of a mapping that is the source itself."""
    document = document_of(config, "ingestion config")
    if "type" in document.data and "sources" not in document.data:
        return Configured(name=name, model=parse(Source, document), document=document, path=())
    return _named(document, ("sources",), name, "source", Source)


def dataset_rules(config: ConfigLike, dataset: str) -> Configured[DatasetRules]:
    """Return the rules of one dataset of a validation file."""
    return _named(document_of(config, "validation config"), (), dataset, "dataset", DatasetRules)


def feature_set(config: ConfigLike, name: str) -> Configured[FeatureSet]:
    """Return one feature set of a feature file."""
    return _named(document_of(config, "feature config"), (), name, "feature set", FeatureSet)


def feature_store(config: ConfigLike) -> Configured[FeatureStore]:
    """Return the ``feature_store`` of a feature file; the defaults if there is none."""
    document = document_of(config, "feature config")
    if RESERVED not in document.data:
        return Configured(name=RESERVED, model=FeatureStore(), document=document, path=())
    return Configured(
        name=RESERVED, model=parse(FeatureStore, document, (RESERVED,)), document=document, path=(RESERVED,)
    )


def _named(document: Document, above: Path_, name: str, kind: str, model: Any) -> Configured[Any]:  # noqa: ANN401
    group: Any = document.data
    for step in above:
        if not isinstance(group, dict) or step not in group:
            raise ConfigError.invalid(
                where=document.where(()), key=str(step), problem="this key is missing at the top of the file"
            )
        group = group[step]
    names = [key for key in group if key != RESERVED] if isinstance(group, dict) else []
    if name not in names:
        raise ConfigError.unknown_name(where=document.name, kind=kind, name=name, known=names)
    path = (*above, name)
    return Configured(name=name, model=parse(model, document, path), document=document, path=path)
