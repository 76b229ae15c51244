"""`@task.mlpipe_validate`: a function says what must hold of an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_mlpipe.decorators.calling import (
    arguments,
    artifact_parameters,
    call,
    configured_by,
    decorated,
    refused,
)
from airflow_provider_mlpipe.operators.validate import ValidateOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import TypeVar

    from airflow.sdk.bases.decorator import Task

    from airflow_provider_mlpipe.operators.job import Job

    R = TypeVar("R")

__all__ = ["mlpipe_validate"]

_HINT = "Return what stands below a dataset in validation_config.yaml: {'required_columns': [...], ...}."


class ValidateDecoratedOperator(DecoratedOperator, ValidateOperator):
    """What `mlpipe_validate` makes of a function."""

    custom_operator_name = "@task.mlpipe_validate"
    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *ValidateOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **ValidateOperator.template_fields_renderers,
    }
    # The page of the task then shows the rules that the function returned.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        dataset: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - ValidateOperator's arguments
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            dataset=dataset,
            artifact="",
            config={},
            **kwargs,
        )

    def run_stage(self, job: Job) -> str | dict[str, str]:
        """Call the function, and validate by what it returned."""
        function = self.python_callable
        given = arguments(function, self.op_args, self.op_kwargs)
        judged = artifact_parameters(function)[0]
        named = str(self.dataset or "")
        opened = {
            name: job.adopt(address, (named or function.__name__) if name == judged else name)
            for name, address in given.items()
        }
        rules = call(function, self.op_args, self.op_kwargs, job.context, opened)
        if not isinstance(rules, Mapping):
            raise refused(function, rules, "rules", _HINT)
        self.artifact = opened[judged].uri
        self.dataset = named or opened[judged].manifest.dataset
        self.config = configured_by(function, {self.dataset: dict(rules)})
        self.related = {**(self.related or {}), **{name: item.uri for name, item in opened.items() if name != judged}}
        return super().run_stage(job)


@overload
def mlpipe_validate(python_callable: Callable[..., R]) -> Task[..., R]: ...


@overload
def mlpipe_validate(
    *,
    dataset: str | None = None,
    **kwargs: Any,  # noqa: ANN401 - ValidateOperator's arguments
) -> Callable[[Callable[..., R]], Task[..., R]]: ...


def mlpipe_validate(
    python_callable: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Make a function a task that judges an artifact by the rules that the function returns.

    The first parameter without a default takes the artifact: the task is called with its address, and the function
    sees an opened `Artifact`, whose ``manifest``, ``schema`` and ``batches()`` may decide on the rules. Further
    parameters without a default take artifacts that the rules refer to by the parameter's name. Parameters with a
    default are plain values, and those named like a key of Airflow's context get that.

    XCom and verdict are those of `ValidateOperator`: the task returns what is passed on.

    Example::

        @task.mlpipe_validate
        def check_orders(orders, most=10_000):
            return {"required_columns": ["order_id", "amount"], "range_constraints": {"amount": [0, most]}}

        checked = check_orders(orders())

    Args:
        python_callable: the function; it returns what stands below a dataset in ``validation_config.yaml``.
        dataset: the rules' name in verdict and report; the artifact's dataset if absent.
        kwargs: what `ValidateOperator` takes but `artifact` and `config`, and what every operator takes.

    Raises:
        TypeError: the function has no parameter for an artifact, is async, or ``multiple_outputs`` is set.
    """
    return decorated(ValidateDecoratedOperator, python_callable, kwargs, artifacts=True)
