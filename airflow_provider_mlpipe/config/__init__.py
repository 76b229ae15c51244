"""The YAML files: typed, with the environment filled in, and with file and line in every message."""

from __future__ import annotations

from airflow_provider_mlpipe.config.document import Document
from airflow_provider_mlpipe.config.features import (
    ALL,
    Aggregation,
    EventSource,
    FeastView,
    FeatureSet,
    FeatureStore,
    Lookup,
    Pivot,
)
from airflow_provider_mlpipe.config.files import (
    ConfigLike,
    Configured,
    dataset_rules,
    document_of,
    feature_set,
    feature_store,
    source,
)
from airflow_provider_mlpipe.config.ingestion import (
    ApiSource,
    DatabaseSource,
    Deduplicate,
    FileSource,
    Incremental,
    IngestionFile,
    Source,
)
from airflow_provider_mlpipe.config.validation import (
    Category,
    Completeness,
    DatasetRules,
    Distribution,
    Freshness,
    LogicalType,
    Range,
    SchemaColumn,
    Severity,
    Uniqueness,
    ValidationFile,
)

__all__ = [
    "ALL",
    "Aggregation",
    "ApiSource",
    "Category",
    "Completeness",
    "ConfigLike",
    "Configured",
    "DatabaseSource",
    "DatasetRules",
    "Deduplicate",
    "Distribution",
    "Document",
    "EventSource",
    "FeastView",
    "FeatureSet",
    "FeatureStore",
    "FileSource",
    "Freshness",
    "Incremental",
    "IngestionFile",
    "LogicalType",
    "Lookup",
    "Pivot",
    "Range",
    "SchemaColumn",
    "Severity",
    "Source",
    "Uniqueness",
    "ValidationFile",
    "dataset_rules",
    "document_of",
    "feature_set",
    "feature_store",
    "source",
]
