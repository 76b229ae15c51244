"""A trigger that waits until a feature view is fresh enough."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.triggers.errand import plain
from airflow_provider_mlpipe.triggers.polling import PollingTrigger
from airflow_provider_mlpipe.triggers.secrets import literal_secrets, refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.ingestion.arrival import Arrival

__all__ = ["FeatureFreshnessTrigger"]


class FeatureFreshnessTrigger(PollingTrigger):
    """Wait until the newest features of a view are at most so old, as of the waiting run's moment.

    Args:
        view: the feature view.
        max_age: in seconds.
        place: where to look; see `FeatureFreshnessSensor`.
        as_of: the moment, ISO 8601.
        config: a feature YAML file or mapping, whose ``feature_store`` section says where Feast is.
        feast_conn_id: a connection of type ``feast``, in place of the section.
        store: settings that go before those of both.
        artifact_root: where Feast lives if nothing says it; ``[mlpipe] artifact_root`` if absent.
        artifact_conn_id: the ``aws`` connection for an artifact root on S3.
        kwargs: `poke_interval`, `transient_retries`, `deadline` (see `PollingTrigger`).
    """

    def __init__(  # noqa: PLR0913 - most have a default, and all come by name
        self,
        *,
        view: str,
        max_age: float,
        as_of: str,
        place: Literal["registry", "offline", "online"] = "registry",
        config: ConfigLike | None = None,
        feast_conn_id: str | None = None,
        store: Mapping[str, Any] | None = None,
        artifact_root: str | None = None,
        artifact_conn_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.view, self.max_age, self.as_of, self.place = view, max_age, as_of, place
        self.config, self.feast_conn_id, self.store = config, feast_conn_id, store
        self.artifact_root, self.artifact_conn_id = artifact_root, artifact_conn_id

    @property
    def subject(self) -> str:
        """What it waits for."""
        return f"features of view {self.view!r} no older than {timedelta(seconds=self.max_age)} at {self.as_of}"

    @property
    def watches(self) -> bool:
        """It is of no use to an asset."""
        return False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, for Airflow to store.

        Raises:
            ConfigError: there is a secret among them.
        """
        names = ("view", "max_age", "as_of", "place", "feast_conn_id", "artifact_root", "artifact_conn_id")
        config = str(self.config) if isinstance(self.config, Path) else plain(self.config)
        arguments = {name: getattr(self, name) for name in names} | {"config": config, "store": plain(self.store)}
        if places := literal_secrets({name: arguments[name] for name in ("config", "store", "artifact_root")}):
            raise refused(f"view {self.view!r}", places)
        return f"{type(self).__module__}.{type(self).__qualname__}", {**arguments, **self.polling()}

    def look(self) -> Arrival:
        """Ask the registry, the offline data or the online store."""
        from airflow_provider_mlpipe.artifacts import Storage
        from airflow_provider_mlpipe.feature_store import freshness
        from airflow_provider_mlpipe.hooks import settings
        from airflow_provider_mlpipe.hooks.connections import s3_options
        from airflow_provider_mlpipe.hooks.feature_store import store_of
        from airflow_provider_mlpipe.ingestion.arrival import Arrival

        config = None if self.config is None else settings.find_config(self.config, None)
        store = store_of(config, feast_conn_id=self.feast_conn_id, store=self.store)
        root = self.artifact_root or settings.artifact_root()
        conn_id = self.artifact_conn_id or settings.artifact_conn_id()
        place = Storage(root.rstrip("/"), s3_options(conn_id if root.startswith("s3://") else None))
        found = freshness(self.view, store, root=place, as_of=instant(self.as_of), place=self.place)
        return Arrival(there=found.within(timedelta(seconds=self.max_age)), facts=found.as_dict())
