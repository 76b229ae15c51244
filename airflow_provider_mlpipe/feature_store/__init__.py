"""Feast, made safe: from a feature artifact to the online store, and back for a check.

`materialize` writes, `read_online` reads, `open_store` hands out the `feast.FeatureStore` itself for everything else
(training sets, a feature server). There is no repository folder: definitions are made from the artifact, settings from
the ``feature_store`` section of the YAML.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_store.export import Export, export
from airflow_provider_mlpipe.feature_store.freshness import Freshness, freshness
from airflow_provider_mlpipe.feature_store.materialization import Materialization, materialize
from airflow_provider_mlpipe.feature_store.online import open_store, read_online
from airflow_provider_mlpipe.feature_store.probing import probe
from airflow_provider_mlpipe.feature_store.push import Push, push
from airflow_provider_mlpipe.feature_store.registration import Registration, register
from airflow_provider_mlpipe.feature_store.rollback import Rollback, rollback
from airflow_provider_mlpipe.feature_store.training import training_set

__all__ = [
    "Export",
    "Freshness",
    "Materialization",
    "Push",
    "Registration",
    "Rollback",
    "export",
    "freshness",
    "materialize",
    "open_store",
    "probe",
    "push",
    "read_online",
    "register",
    "rollback",
    "training_set",
]
