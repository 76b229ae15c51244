"""Column lineage: which column of which data set a column comes from, and how; read off manifests.

Every stage has said it already: the ingestion file how columns are renamed, a feature's declaration what it is computed
from (`feature_extraction.lineage`), a training set's proof which view has which feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_mlpipe.lineage.places import Place, place_of
from airflow_provider_mlpipe.lineage.queries import STAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.lineage.trail import SourceRead, Trail, ViewServed

__all__ = ["Edge", "Edges", "of_artifact", "of_view"]

_HOW = {
    # feature_extraction.lineage.Kind: type and subtype, as OpenLineage's column lineage facet names them
    "value": ("DIRECT", "AGGREGATION"),
    "filter": ("INDIRECT", "FILTER"),
    "key": ("INDIRECT", "JOIN"),
    "time": ("INDIRECT", "WINDOW"),
    "input": ("DIRECT", "TRANSFORMATION"),
}
_IDENTITY = ("DIRECT", "IDENTITY")


class Edge(NamedTuple):
    """A column that another one comes from."""

    place: Place
    column: str
    kind: str
    subtype: str


Edges = dict[str, tuple[Edge, ...]]
"""By column of the result."""


def of_artifact(artifact: Artifact, trail: Trail) -> Edges:
    """Return where the columns of a published artifact come from; empty if nothing says so."""
    details = artifact.manifest.details
    if trail.sources:
        return _of_source(_names(artifact), trail.sources)
    if "lineage" in details and (found := _collect(_of_features(artifact, trail))):
        return found
    if "views" in details and "labels" in details:
        return _collect(_of_training_set(artifact, trail))
    return _collect(_passed_on(artifact, trail))


def of_view(served: ViewServed) -> Edges:
    """Return where the columns of a feature view come from: the artifact's, by the same names."""
    place = place_of(served.artifact.uri)
    return {name: (Edge(place, name, *_IDENTITY),) for name in _names(served.artifact)}


def _names(artifact: Artifact) -> list[str]:
    return [str(column["name"]) for column in artifact.manifest.schema]


def _collect(pairs: Iterable[tuple[str, Edge]]) -> Edges:
    found: dict[str, dict[Edge, None]] = {}
    for name, edge in pairs:
        found.setdefault(name, {})[edge] = None
    return {name: tuple(edges) for name, edges in found.items()}


def _of_source(names: Iterable[str], sources: Iterable[SourceRead]) -> Edges:
    def pairs() -> Iterator[tuple[str, Edge]]:
        for source in sources:
            for name in names:
                theirs = source.theirs.get(name, name)
                if theirs is not None:
                    yield from ((name, edge) for edge in _in_source(theirs, source))

    return _collect(pairs())


def _in_source(column: str, source: SourceRead) -> Iterator[Edge]:
    if source.query is None:
        # Several topics have one schema: each of them may have given the value.
        yield from (Edge(place, column, *_IDENTITY) for place in source.places)
        return
    known = source.query.columns
    for read in known.get(column, known.get(STAR, ())):
        place = source.place_called(read.table)
        yield Edge(place, column if read.column == STAR else read.column, "DIRECT", read.how)


def _of_features(artifact: Artifact, trail: Trail) -> Iterator[tuple[str, Edge]]:
    manifest = artifact.manifest
    places = {item.name: trail.input_place(item.name, item.uri) for item in manifest.inputs}
    schemas = {item.name: trail.read[item.uri] for item in manifest.inputs if item.uri in trail.read}
    columns = set(_names(artifact))
    spine = ""
    for edge in manifest.details["lineage"]:
        role, feature = edge["input"], edge["feature"]
        if role not in places:
            continue
        spine = spine or role  # the first edge of all is the entity's key
        if role == spine and edge["kind"] == "key" and manifest.details.get("entity") in columns:
            yield manifest.details["entity"], Edge(places[role], edge["column"], *_IDENTITY)
        if feature in columns:
            for name in _all_of(edge["column"], schemas.get(role)):
                yield feature, Edge(places[role], name, *_HOW[edge["kind"]])


def _all_of(column: str, artifact: Artifact | None) -> list[str]:
    """Return a column, or of ``*`` all columns of the input, as far as they are known."""
    if column != STAR:
        return [column]
    return [] if artifact is None else _names(artifact)


def _of_training_set(artifact: Artifact, trail: Trail) -> Iterator[tuple[str, Edge]]:
    details: Mapping[str, Any] = artifact.manifest.details
    from_views = set()
    for view in details["views"]:
        for name in view["features"]:
            from_views.add(name)
            column = name.removeprefix(f"{view['view']}__")
            yield name, Edge(Place(trail.project, view["view"]), column, *_IDENTITY)
    labels = place_of(details["labels"]["uri"])
    for name in _names(artifact):
        if name not in from_views:
            yield name, Edge(labels, name, *_IDENTITY)


def _passed_on(artifact: Artifact, trail: Trail) -> Iterator[tuple[str, Edge]]:
    """Yield what keeps its name: rows that were let through or taken out, merged chunks, normalised features."""
    own = place_of(artifact.uri)
    known = trail.read | trail.wrote
    details = artifact.manifest.details
    scaled = {item["name"] for item in details.get("features", ())} if "normalization" in details else set()
    for item in artifact.manifest.inputs:
        place = place_of(item.uri)
        if item.uri not in known or place == own:
            continue
        columns = set(_names(known[item.uri]))
        for name in _names(artifact):
            if name in columns:
                how = ("DIRECT", "TRANSFORMATION") if name in scaled else _IDENTITY
                yield name, Edge(place, name, *how)
