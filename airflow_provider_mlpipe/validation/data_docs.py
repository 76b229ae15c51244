"""Great Expectations' own Data Docs, built by Great Expectations from the suite and the results beside the data."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.artifact import SUITE, VERDICT
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, PublishError
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.library import load_great_expectations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["build_data_docs"]

SITE = "mlpipe"


def build_data_docs(artifacts: Iterable[Artifact], folder: str | Path) -> Path:
    """Build a site of the verdicts that lie beside `artifacts`, and return its first page.

    The pages are Great Expectations' and need the network for their styles; `_report.html` beside the data does not.

    Args:
        artifacts: what was validated.
        folder: where the site goes; made if absent. Pages of other runs in it stay.

    Raises:
        ArtifactNotFoundError: an artifact was not validated.
        PublishError: the folder cannot be written.
    """
    load_great_expectations()
    import airflow_provider_mlpipe.validation.expectations  # noqa: F401 - registers our classes, with their renderers

    place = Path(folder).absolute()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Great Expectations says to itself
            _build(list(artifacts), place)
    except OSError as error:
        raise PublishError.failed(str(place), error.strerror or str(error)) from error
    return place / "index.html"


def _build(artifacts: list[Artifact], place: Path) -> None:
    import great_expectations as gx
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(place)}
    site = {"class_name": "SiteBuilder", "store_backend": backend, "site_index_builder": _INDEX}
    settings = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,  # nothing is sent to anybody
        data_docs_sites={SITE: site},
    )
    context = gx.get_context(project_config=settings, mode="ephemeral")
    for artifact in artifacts:
        suite, document = _beside(artifact, SUITE), _beside(artifact, VERDICT)
        summary = document["meta"]["mlpipe"]
        name = suite["name"]
        context.expectations_store.set(ExpectationSuiteIdentifier(name), suite)
        result = expectationSuiteValidationResultSchema.load(document)
        key = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name),
            run_id=RunIdentifier(run_name=artifact.manifest.partition, run_time=instant(summary["as_of"])),
            batch_identifier=artifact.manifest.stage,
        )
        context.validation_results_store.set(key, result)
    place.mkdir(parents=True, exist_ok=True)
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context.build_data_docs(site_names=[SITE])


_INDEX = {"class_name": "DefaultSiteIndexBuilder"}


def _beside(artifact: Artifact, name: str) -> dict[str, Any]:
    content = artifact.read_beside(name)
    if content is None:
        raise ArtifactNotFoundError.at(f"{artifact.uri}/{name}")
    document: dict[str, Any] = json.loads(content)
    return document
