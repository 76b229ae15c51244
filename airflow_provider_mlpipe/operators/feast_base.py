"""What the operators of the feature store have in common: where Feast is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.hooks.feature_store import store_of
from airflow_provider_mlpipe.operators.base import MlpipeOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.config import ConfigLike, FeatureStore

__all__ = ["FeastOperator", "store_of"]


class FeastOperator(MlpipeOperator):
    """The base of the operators that need Feast.

    Args:
        config: a feature YAML file or mapping, whose ``feature_store`` section says where Feast is (templated); Feast
            lives below the artifact root if absent. See `SourceIngestOperator` for relative paths.
        feast_conn_id: a connection of type ``feast`` that says where Feast is, in place of the section (templated); the
            section still says how to use it.
        store: settings that go before those of both, by key (templated).
        kwargs: `as_of`, `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (*MlpipeOperator.template_fields, "config", "feast_conn_id", "store")
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "store": "yaml"}
    ui_color = "#ede9fe"

    def __init__(
        self,
        *,
        config: ConfigLike | None = None,
        feast_conn_id: str | None = None,
        store: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.feast_conn_id = feast_conn_id
        self.store = store

    def feature_store(self) -> FeatureStore:
        """Return the settings; only while the task executes."""
        config = None if self.config is None else self.find_config(self.config)
        return store_of(config, feast_conn_id=self.feast_conn_id, store=self.store)
