"""`@task.mlpipe_features`: a function declares features, or computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_mlpipe.decorators.calling import arguments, call, configured_by, decorated, place_of, refused
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.operators.extract import ExtractFeaturesOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import TypeVar

    from airflow.sdk.bases.decorator import Task

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.feature_extraction import Extraction
    from airflow_provider_mlpipe.operators.job import Job

    R = TypeVar("R")

__all__ = ["mlpipe_features"]

_HINT = (
    "Return what stands below a feature set in feature_config.yaml, {'features': [...], ...}; or an Arrow table or "
    "DataFrame with the key column and a column per feature."
)


class FeaturesDecoratedOperator(DecoratedOperator, ExtractFeaturesOperator):
    """What `mlpipe_features` makes of a function."""

    custom_operator_name = "@task.mlpipe_features"
    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *ExtractFeaturesOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **ExtractFeaturesOperator.template_fields_renderers,
    }
    # The page of the task then shows the declaration that the function returned.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        feature_set: str | None = None,
        config: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - ExtractFeaturesOperator's arguments
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            feature_set=feature_set or python_callable.__name__,
            config=dict(config or {}),
            inputs={},
            **kwargs,
        )

    def _extraction(self, job: Job) -> Extraction:
        """Call the function, and extract what it declared or publish what it computed."""
        from airflow_provider_mlpipe.feature_extraction import is_table

        function = self.python_callable
        given = arguments(function, self.op_args, self.op_kwargs)
        opened = {role: job.open(address) for role, address in given.items()}
        returned = call(function, self.op_args, self.op_kwargs, job.context, opened)
        self.inputs = {role: artifact.uri for role, artifact in opened.items()}
        said = self.config if isinstance(self.config, Mapping) else {}
        if isinstance(returned, Mapping):
            self.config = configured_by(function, {self.feature_set: {**said, **returned}})
            return super()._extraction(job)
        if not is_table(returned):
            raise refused(function, returned, "a declaration or a table", _HINT)
        return self._published(returned, opened, job)

    def _published(self, table: Any, inputs: Mapping[str, Artifact], job: Job) -> Extraction:  # noqa: ANN401
        from airflow_provider_mlpipe import config
        from airflow_provider_mlpipe.feature_extraction import publish_table

        for key, value in (("as_of", self.as_of_range), ("chunk", self.chunk)):
            if value is not None:
                raise ConfigError.invalid(
                    where=f"task {self.task_id}", key=key, problem="is about how to compute features, and the function "
                    "computed them", hint="Return a declaration for histories and chunks.",
                )  # fmt: skip
        self.config = configured_by(self.python_callable, {self.feature_set: self.config})
        return publish_table(
            config.feature_set(self.config, self.feature_set),
            table,
            inputs,
            root=job.root,
            run=job.run,
            as_of=job.as_of,
            by=f"{self.python_callable.__name__}() at {place_of(self.python_callable)}",
        )


@overload
def mlpipe_features(python_callable: Callable[..., R]) -> Task[..., R]: ...


@overload
def mlpipe_features(
    *,
    feature_set: str | None = None,
    config: Mapping[str, Any] | None = None,
    **kwargs: Any,  # noqa: ANN401 - ExtractFeaturesOperator's arguments
) -> Callable[[Callable[..., R]], Task[..., R]]: ...


def mlpipe_features(
    python_callable: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Make a function a task that publishes the features that the function declares, or computes.

    Parameters without a default take artifacts, and are the inputs by role: ``users``, ``activity``. The task is called
    with their addresses, the function sees opened `Artifact`s. It returns a feature set as it would stand in
    ``feature_config.yaml``, computed from these inputs as of the run's moment with the usual proof; or a table with
    the key and a column per feature, which is stamped with the run's moment and published. A table has no proof: that
    nothing at or after the moment went into it is then the function's promise. It is the way for a model's scores.

    XCom and places are those of `ExtractFeaturesOperator`.

    Example::

        @task.mlpipe_features
        def user_features(users, activity):
            return {"features": ["tasks_completed_7d"], "aggregation_window": "7d"}

        features = user_features(users=checked_users, activity=checked_activity)

    Args:
        python_callable: the function.
        feature_set: the set's name; the function's if absent.
        config: keys of the set that the function need not return, ``entity`` and ``feast`` above all.
        kwargs: what `ExtractFeaturesOperator` takes but `inputs`, and what every operator takes.

    Raises:
        TypeError: the function has no parameter for an artifact, is async, or ``multiple_outputs`` is set.
    """
    return decorated(FeaturesDecoratedOperator, python_callable, kwargs, artifacts=True)
