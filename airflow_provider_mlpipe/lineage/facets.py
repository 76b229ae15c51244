"""Facets: a trail in OpenLineage's words.

Imported only while OpenLineage's provider asks, so its client is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client import facet_v2 as ol
from openlineage.client.event_v2 import InputDataset, OutputDataset

from airflow_provider_mlpipe.lineage.columns import Edges, of_artifact, of_view
from airflow_provider_mlpipe.lineage.places import Place, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.lineage.trail import Judged, Trail, ViewServed

__all__ = ["assertions_of", "of_places", "of_trail"]

_SEVERITIES = {"ERROR": "error", "WARNING": "warn", "INFO": "info"}


def of_places(places: Iterable[Place]) -> OperatorLineage[Any, Any]:
    """Return the inputs alone, of which nothing is known yet but their names."""
    return OperatorLineage(inputs=[InputDataset(place.namespace, place.name) for place in places])


def of_trail(trail: Trail) -> OperatorLineage[Any, Any]:
    """Return inputs and outputs with all that is known of them."""
    outputs = [_output(place, artifacts, trail) for place, artifacts in _by_place(trail.wrote).items()]
    outputs += [_view(served) for served in trail.served]
    return OperatorLineage(inputs=[_input(place, trail) for place in trail.inputs()], outputs=outputs)


def _by_place(artifacts: Mapping[str, Artifact]) -> dict[Place, list[Artifact]]:
    found: dict[Place, list[Artifact]] = {}
    for uri, artifact in artifacts.items():
        found.setdefault(place_of(uri), []).append(artifact)
    return found


def _input(place: Place, trail: Trail) -> InputDataset:
    artifacts = _by_place(trail.read).get(place, [])
    facets: dict[str, Any] = _dataset_facets(artifacts) if artifacts else _source_facets(place, trail)
    measured: dict[str, Any] = {}
    if artifacts:
        measured["inputStatistics"] = ol.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            **_sizes(artifacts)
        )
    judged = [one for one in trail.judged if place_of(one.artifact.uri) == place]
    if judged:
        measured["dataQualityAssertions"] = assertions_of(judged)
        measured["dataQualityMetrics"] = _quality(judged)
    return InputDataset(place.namespace, place.name, facets=facets, inputFacets=measured)


def _output(place: Place, artifacts: list[Artifact], trail: Trail) -> OutputDataset:
    facets = _dataset_facets(artifacts)
    edges = of_artifact(artifacts[0], trail)
    if edges:
        facets["columnLineage"] = _columns(edges)
    sizes = ol.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(**_sizes(artifacts))
    return OutputDataset(place.namespace, place.name, facets=facets, outputFacets={"outputStatistics": sizes})


def _view(served: ViewServed) -> OutputDataset:
    facets = {"schema": _schema(served.artifact), "columnLineage": _columns(of_view(served))}
    rows = ol.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=served.artifact.manifest.rows
    )
    return OutputDataset(*served.place, facets=facets, outputFacets={"outputStatistics": rows})


def _dataset_facets(artifacts: list[Artifact]) -> dict[str, Any]:
    first = artifacts[0]
    layer = "s3" if first.uri.startswith("s3") else "file"
    facets: dict[str, Any] = {
        "schema": _schema(first),
        "storage": ol.storage_dataset.StorageDatasetFacet(storageLayer=layer, fileFormat="parquet"),
    }
    if len(artifacts) == 1:
        facets["version"] = ol.dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=first.fingerprint)
    return facets


def _source_facets(place: Place, trail: Trail) -> dict[str, Any]:
    """Return a source's columns by its own names, told from those that came of it."""
    edges = [
        edge for artifact in trail.wrote.values() for found in of_artifact(artifact, trail).values() for edge in found
    ]
    names = dict.fromkeys(edge.column for edge in edges if edge.place == place)
    if not names:
        return {}
    return {
        "schema": ol.schema_dataset.SchemaDatasetFacet(
            [ol.schema_dataset.SchemaDatasetFacetFields(name=name) for name in names]
        )
    }


def _schema(artifact: Artifact) -> ol.schema_dataset.SchemaDatasetFacet:
    listed = [item for item in artifact.manifest.details.get("features", ()) if isinstance(item, dict)]
    said = {item["name"]: item.get("description") for item in listed}
    return ol.schema_dataset.SchemaDatasetFacet(
        [
            ol.schema_dataset.SchemaDatasetFacetFields(
                name=column["name"], type=column["type"], description=said.get(column["name"]) or None
            )
            for column in artifact.manifest.schema
        ]
    )


def _sizes(artifacts: list[Artifact]) -> dict[str, Any]:
    manifests = [artifact.manifest for artifact in artifacts]
    return {
        "rowCount": sum(manifest.rows for manifest in manifests),
        "size": sum(manifest.bytes for manifest in manifests),
        "fileCount": sum(len(manifest.parts) for manifest in manifests),
    }


def _columns(edges: Edges) -> ol.column_lineage_dataset.ColumnLineageDatasetFacet:
    return ol.column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            name: ol.column_lineage_dataset.Fields(
                inputFields=[
                    ol.column_lineage_dataset.InputField(
                        namespace=edge.place.namespace,
                        name=edge.place.name,
                        field=edge.column,
                        transformations=[
                            ol.column_lineage_dataset.Transformation(type=edge.kind, subtype=edge.subtype)
                        ],
                    )
                    for edge in found
                ]
            )
            for name, found in edges.items()
        }
    )


def assertions_of(judged: Iterable[Judged]) -> ol.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    """Return every rule that held or did not; one that did not apply says nothing of the data, so it is left out."""
    rules = [rule for one in judged for rule in one.verdict.get("rules", ()) if rule["status"] != "skipped"]
    return ol.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[_assertion(rule) for rule in rules]
    )


def _assertion(rule: Mapping[str, Any]) -> ol.data_quality_assertions_dataset.Assertion:
    columns = list(rule["columns"])
    return ol.data_quality_assertions_dataset.Assertion(
        assertion=rule["kind"],
        success=rule["status"] == "passed",
        column=columns[0] if len(columns) == 1 else None,
        severity=_SEVERITIES.get(rule["severity"], "error"),
        name=rule["rule_id"],
        description=rule["text"],
        actual=rule["found"] or None,
        params={
            "columns": columns,
            "checked": rule["checked"],
            "unexpected": rule["unexpected"],
            "on_failure": rule["on_failure"],
            "where": rule["where"],
        },
    )


def _quality(judged: list[Judged]) -> ol.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet:
    """Return rows, nulls and distinct values; no value of the data, which might be one that nobody may see."""
    verdict = judged[0].verdict
    rows = verdict["counts"].get("rows_validated")
    metrics = {
        column["name"]: ol.data_quality_metrics_input_dataset.ColumnMetrics(
            nullCount=column["nulls"],
            distinctCount=column["distinct"],
            count=None if rows is None or column["nulls"] is None else rows - column["nulls"],
        )
        for column in verdict.get("columns", ())
    }
    return ol.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
        columnMetrics=metrics, rowCount=rows, bytes=judged[0].artifact.manifest.bytes
    )
