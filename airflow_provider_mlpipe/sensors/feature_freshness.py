"""`FeatureFreshnessSensor`: wait until a feature view is fresh enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_mlpipe.operators.base import airflow_failures
from airflow_provider_mlpipe.operators.feast_base import FeastOperator
from airflow_provider_mlpipe.sensors.deferral import DeferrableSensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.triggers.polling import PollingTrigger

__all__ = ["FeatureFreshnessSensor"]


class FeatureFreshnessSensor(FeastOperator, DeferrableSensor):
    """Wait until the newest features of a view are at most `max_age` old, as of the run's moment.

    The clock decides nothing but how long to wait: a run for last Tuesday looks at the features of last Tuesday. Where
    to look is `place`:

    * ``registry`` (default): the latest materialised interval that ends by then, as Feast's registry records it. What
      it covers is online completely; pushed rows do not count.
    * ``offline``: the latest event_timestamp of the offline data by then, which is what a training set can see. The
      cheapest: Feast is not imported.
    * ``online``: the event times that the online store serves for up to 100 entities of the newest offline file; the
      oldest counts. It holds no past, so rows newer than as_of count as fresh.

    A view that is not there yet is waited for. A wrong setting fails the task at once; a registry that does not answer
    fails the try, so that the task's retries apply. Without ``deferrable=True`` each look costs seconds of import,
    except for ``offline``: prefer ``mode="reschedule"`` and a `poke_interval` of minutes, so that no worker is held
    meanwhile. Deferred, the triggerer imports Feast once.

    XCom: ``return_value``: ``newest`` (event time), ``age_seconds``, ``as_of``, ``view``, ``place``.

    Example::

        FeatureFreshnessSensor(
            task_id="fresh", view="user_profile_features", max_age="24h", deferrable=True, poke_interval=300
        )

    Args:
        view: the feature view (templated).
        max_age: ``24h``, ``7d`` or a timedelta (templated).
        place: where to look (templated).
        kwargs: `config`, `feast_conn_id`, `store` (where Feast is; see `FeastOperator`), `deferrable`,
            `transient_retries` (see `DeferrableSensor`), `as_of`, `artifact_root`, `artifact_conn_id` (see
            `MlpipeOperator`) and what every sensor takes.
    """

    template_fields: Sequence[str] = (*FeastOperator.template_fields, "view", "max_age", "place")

    def __init__(
        self,
        *,
        view: str,
        max_age: str | timedelta,
        place: Literal["registry", "offline", "online"] = "registry",
        **kwargs: Any,  # noqa: ANN401 - the bases' arguments
    ) -> None:
        super().__init__(**kwargs)
        self.view = view
        self.max_age = max_age
        self.place = place

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Raises:
            AirflowFailException: looking again would change nothing; the cause is chained.
            MlpipeError: a retry may help.
        """
        from airflow_provider_mlpipe.feature_store import freshness

        with airflow_failures():
            job = self._job(context)
            limit = self._limit()
            found = freshness(self.view, self.feature_store(), root=job.root, as_of=job.as_of, place=self.place)
        fresh = found.within(limit)
        self.log.info(
            "%s is %s as of %s: newest in %s: %s, age: %s, allowed: %s. %s",
            self.view,
            "fresh" if fresh else "not fresh",
            found.as_of.isoformat(),
            found.place,
            found.newest.isoformat() if found.newest else "nothing",
            found.age if found.age is not None else "-",
            limit,
            found.note,
        )
        return PokeReturnValue(is_done=fresh, xcom_value=found.as_dict() if fresh else None)

    def trigger(self, context: Context, deadline: float) -> PollingTrigger:
        """Return what looks in the triggerer."""
        from airflow_provider_mlpipe.triggers.freshness import FeatureFreshnessTrigger

        job = self._job(context)
        return FeatureFreshnessTrigger(
            view=self.view,
            max_age=self._limit().total_seconds(),
            place=self.place,
            as_of=job.as_of.isoformat(),
            config=None if self.config is None else self.find_config(self.config),
            feast_conn_id=self.feast_conn_id,
            store=self.store,
            artifact_root=job.root.uri,
            artifact_conn_id=self.artifact_conn_id,
            **self.polling(deadline),
        )

    def _limit(self) -> timedelta:
        from airflow_provider_mlpipe.run import duration

        return duration(self.max_age) if isinstance(self.max_age, str) else self.max_age
