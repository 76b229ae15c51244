"""The trail: what a task touched, noted while it ran.

OpenLineage's provider asks an operator for its lineage from a forked process with little time, in which neither a
connection to Airflow nor Arrow's threads for a bucket are whole. So everything is fetched before, in the task, and only
if somebody listens: manifests and verdicts, which lie beside the data. No row is read.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import redact
from airflow_provider_mlpipe.lineage.places import Place, place_of, query_of, source_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.artifacts import Artifact, S3Options, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureStore, Source
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.lineage.queries import Query

__all__ = ["Judged", "SourceRead", "Trail", "ViewServed", "listening"]

logger = logging.getLogger(__name__)


def listening() -> bool:
    """Return whether OpenLineage's provider is there and configured to send."""
    try:
        from airflow.providers.openlineage.conf import is_disabled
    except ImportError:
        return False
    return not is_disabled()


@dataclass(frozen=True, kw_only=True)
class SourceRead:
    """A source, and how its columns are called here.

    Attributes:
        places: of a query all its tables.
        theirs: the source's name of a column, by ours; None for a column of nulls that it does not have.
        query: what is read, if it is no whole table.
    """

    places: tuple[Place, ...]
    theirs: Mapping[str, str | None]
    query: Query | None = None

    def place_called(self, table: str) -> Place:
        """Return the place of a table by the query's name for it."""
        assert self.query is not None  # noqa: S101 - the caller has a column of the query
        return self.places[self.query.tables.index(table)]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An artifact and the ``mlpipe`` object of its verdict."""

    artifact: Artifact
    verdict: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ViewServed:
    """A feature view and the artifact whose rows it serves now."""

    place: Place
    artifact: Artifact


@dataclass
class Trail:
    """What one execution touched, in the order in which it did.

    Attributes:
        sources: databases, APIs, files, topics that were read.
        read: artifacts that were read, by URI.
        wrote: artifacts that were published.
        judged: verdicts that were given.
        served: feature views that were written to.
        project: Feast's project, for the views that are only named in manifests.
    """

    sources: list[SourceRead] = field(default_factory=list)
    read: dict[str, Artifact] = field(default_factory=dict)
    wrote: dict[str, Artifact] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    served: list[ViewServed] = field(default_factory=list)
    project: str = ""

    def reads(self, artifact: Artifact) -> None:
        """Note that an artifact was opened."""
        self.read[artifact.uri] = artifact

    def reads_source(self, source: Configured[Source], connection: Connection | None) -> None:
        """Note that a source is about to be read."""
        if not listening():
            return
        with _harmless("the source"):
            model = source.model
            self.sources.append(
                SourceRead(
                    places=source_places(model, connection),
                    theirs=model.columns,
                    query=query_of(model, connection),
                )
            )

    def writes(self, *artifacts: Artifact | None) -> None:
        """Note what was published beside what the task returns."""
        self.wrote |= {artifact.uri: artifact for artifact in artifacts if artifact is not None}

    def judges(self, *artifacts: Artifact) -> None:
        """Note that a verdict on each of these was written beside it."""
        if not listening():
            return
        with _harmless("the verdict"):
            from airflow_provider_mlpipe.artifacts.artifact import VERDICT

            for artifact in artifacts:
                content = artifact.read_beside(VERDICT)
                if content is not None:
                    self.judged.append(Judged(artifact=artifact, verdict=json.loads(content)["meta"]["mlpipe"]))

    def serves(self, view: str, artifact: Artifact, store: FeatureStore, root: Storage) -> None:
        """Note that a feature view of Feast has an artifact's rows now."""
        if not listening():
            return
        with _harmless("the feature view"):
            self.looks_into(store, root)
            self.served.append(ViewServed(place=Place(self.project, view), artifact=artifact))

    def looks_into(self, store: FeatureStore, root: Storage) -> None:
        """Note which feature store is meant: Feast calls its data sets by project."""
        if not store.repo:
            self.project = store.project
        elif listening():
            from airflow_provider_mlpipe.feature_store.settings import Settings

            self.project = Settings.of(store, root).project

    def returns(self, published: str | Mapping[str, str], options: S3Options) -> None:
        """Note what the task returns, which is what it published unless it had read it already."""
        if not listening():
            return
        with _harmless("what was published"):
            from airflow_provider_mlpipe.artifacts import Artifact

            for uri in [published] if isinstance(published, str) else published.values():
                if uri not in self.read and uri not in self.wrote:
                    self.wrote[uri] = Artifact.open(uri, options)

    def inputs(self) -> tuple[Place, ...]:
        """Return the places of all that was read, each once."""
        found = [place for source in self.sources for place in source.places]
        found += [place_of(uri) for uri in self.read]
        for artifact in self.wrote.values():
            found += [self.input_place(item.name, item.uri) for item in artifact.manifest.inputs]
        own = {place_of(uri) for uri in self.wrote}
        return tuple(place for place in dict.fromkeys(found) if place not in own)

    def input_place(self, name: str, uri: str) -> Place:
        """Return the place of an input that a manifest names; of a view's offline file that is the view."""
        view, slash, _ = name.partition("/")
        return Place(self.project, view) if slash and self.project else place_of(uri)


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    """Let a task that did its work not fail because nobody could say where the data came from."""
    try:
        yield
    except Exception as error:
        logger.warning("OpenLineage is not told of %s: %s", what, redact(str(error)))
        logger.debug("lineage", exc_info=error)
