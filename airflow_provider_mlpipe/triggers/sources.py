"""Triggers that wait for a source: new objects, new rows, an API that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.triggers.errand import Errand
from airflow_provider_mlpipe.triggers.polling import PollingTrigger
from airflow_provider_mlpipe.triggers.secrets import literal_secrets, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.ingestion.arrival import Arrival

__all__ = ["ApiAnswersTrigger", "NewObjectsTrigger", "NewRowsTrigger", "SourceTrigger"]


class SourceTrigger(PollingTrigger):
    """The base of triggers that look at a source.

    What it is given is stored in Airflow's database, so it must hold no secret: connections are named, and ``${NAME}``
    is filled in from the triggerer's environment at each look. A YAML file must be where the triggerer finds it.

    Args:
        source: the source's name in `config`.
        config: an ingestion YAML file, or a mapping. For an asset an absolute path, or one below ``[mlpipe]
            config_folder`` if that is absolute.
        conn_id: the Airflow connection, in place of the file's.
        dataset: the artifact's dataset name, in place of the file's: beside it stands what was read before.
        parameters: values of a query's ``:name``.
        artifact_root: where what was read before stands; ``[mlpipe] artifact_root`` if absent.
        artifact_conn_id: the ``aws`` connection for an artifact root on S3.
        as_of: the moment that the waiting run is about, ISO 8601; leave it out in an asset's watcher.
        run: the waiting run; leave it out in an asset's watcher.
        kwargs: `poke_interval`, `transient_retries`, `deadline` (see `PollingTrigger`).
    """

    def __init__(  # noqa: PLR0913 - all but two have a default, and come by name
        self,
        *,
        source: str,
        config: ConfigLike,
        conn_id: str | None = None,
        dataset: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        artifact_root: str | None = None,
        artifact_conn_id: str | None = None,
        as_of: str | None = None,
        run: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.errand = Errand(
            source=source,
            config=config,
            conn_id=conn_id,
            dataset=dataset,
            parameters=parameters,
            artifact_root=artifact_root,
            artifact_conn_id=artifact_conn_id,
            as_of=as_of,
            run=run,
        )

    @property
    def watches(self) -> bool:
        """Whether no run waits."""
        return self.errand.run is None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, for Airflow to store.

        Raises:
            ConfigError: there is a secret among them.
        """
        arguments = {**self.errand.stored(), **self.polling()}
        if places := literal_secrets({name: arguments[name] for name in ("config", "parameters", "artifact_root")}):
            raise refused(f"source {self.errand.source!r}", places)
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments


class NewObjectsTrigger(SourceTrigger):
    """Wait for files that the source's next run would read: with ``only_new`` those that no run has read, else any.

    Example::

        Asset("inbox", watchers=[AssetWatcher(name="inbox", trigger=NewObjectsTrigger(
            source="events", config={"type": "file", "path": "s3://lake/in/*.csv", "only_new": True, "conn_id": "lake"}
        ))])
    """

    @property
    def subject(self) -> str:
        """What it waits for."""
        return f"new objects of source {self.errand.source!r}"

    def look(self) -> Arrival:
        """List what is there, and leave out what was read."""
        from airflow_provider_mlpipe.ingestion.arrival import new_objects

        return new_objects(self.errand.visit())


class NewRowsTrigger(SourceTrigger):
    """Wait for rows that the source's next run would read and no run has.

    Args:
        since: until when rows have been read, ISO 8601, if that stands neither beside the artifacts nor in them.
        beyond_as_of: rows at or after as_of count, too.
        kwargs: see `SourceTrigger`.
    """

    def __init__(self, *, since: str | None = None, beyond_as_of: bool = False, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.since = since
        self.beyond_as_of = beyond_as_of

    @property
    def subject(self) -> str:
        """What it waits for."""
        return f"new rows of source {self.errand.source!r}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, for Airflow to store."""
        path, arguments = super().serialize()
        return path, {**arguments, "since": self.since, "beyond_as_of": self.beyond_as_of}

    def look(self) -> Arrival:
        """Ask the database for the newest row."""
        from airflow_provider_mlpipe.ingestion.arrival import new_rows
        from airflow_provider_mlpipe.triggers.mark import Mark

        return new_rows(self.errand.visit(), Mark.of(self.since), beyond_as_of=self.beyond_as_of)


class ApiAnswersTrigger(SourceTrigger):
    """Wait until an API answers the first request that the run would send it.

    Refused, timed out, 408, 425, 429 and 5xx are waited for, and ``Retry-After`` is heeded up to a minute; any other
    status that is no success ends the waiting with an error.
    """

    def __init__(self, *, transient_retries: int | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        # That it is not available is what is waited for.
        super().__init__(transient_retries=transient_retries, **kwargs)

    @property
    def subject(self) -> str:
        """What it waits for."""
        return f"an answer of source {self.errand.source!r}"

    @property
    def watches(self) -> bool:
        """It is of no use to an asset."""
        return False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, for Airflow to store.

        Raises:
            ConfigError: there is a secret among them; or no run waits. Airflow starts an asset's trigger again once it
                has ended, so this one would ring every second for as long as the API answers.
        """
        if self.errand.run is None:
            raise ConfigError.invalid(
                where=f"source {self.errand.source!r}", key="watchers",
                problem="that an API answers is no news: an asset that watches for it would start its Dag without end",
                hint="Give the Dag a schedule, and SourceIngestOperator deferrable=True.",
            )  # fmt: skip
        return super().serialize()

    def look(self) -> Arrival:
        """Ask, and leave the answer unread."""
        from airflow_provider_mlpipe.ingestion.arrival import api_answers

        return api_answers(self.errand.visit())
