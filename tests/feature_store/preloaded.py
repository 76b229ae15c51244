"""What the fork server of `test_processes` imports before it forks."""

from __future__ import annotations

import feast
import feast.infra.compute_engines.local.compute
import feast.infra.online_stores.sqlite
import feast.infra.registry.sql  # noqa: F401

import airflow_provider_mlpipe.feature_store.arrow_engine.engine
import airflow_provider_mlpipe.feature_store.feast_offline  # noqa: F401
