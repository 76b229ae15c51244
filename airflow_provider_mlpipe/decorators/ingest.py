"""`@task.mlpipe_ingest`: a function gives rows, or says where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_mlpipe.decorators.calling import call, configured_by, decorated, refused
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.operators.ingest import SourceIngestOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import ParamSpec, TypeVar

    from airflow.sdk.bases.decorator import Task

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.operators.job import Job

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["mlpipe_ingest"]

_WANTED = "rows, a table or a source"
_HINT = (
    "Return or yield mappings (one per row), lists of them, Arrow tables or batches, or DataFrames; or return a source "
    "as it would stand in the YAML: {'type': 'database', ...}. For no rows return []."
)


class IngestDecoratedOperator(DecoratedOperator, SourceIngestOperator):
    """What `mlpipe_ingest` makes of a function."""

    custom_operator_name = "@task.mlpipe_ingest"
    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *SourceIngestOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **SourceIngestOperator.template_fields_renderers,
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        source: str | None = None,
        config: ConfigLike | None = None,
        **kwargs: Any,  # noqa: ANN401 - SourceIngestOperator's arguments
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            source=source or python_callable.__name__,
            config={} if config is None else config,
            **kwargs,
        )

    def run_stage(self, job: Job) -> str:
        """Call the function, and ingest what it gave."""
        returned = call(self.python_callable, self.op_args, self.op_kwargs, job.context)
        if isinstance(returned, Mapping):
            self.config = self._source(returned)
        elif isinstance(returned, (str, bytes)) or not _gives_rows(returned):
            raise refused(self.python_callable, returned, _WANTED, _HINT)
        else:
            self._rows = returned
            if isinstance(self.config, Mapping) and not {"type", "sources"} & self.config.keys():
                self.config = {"type": "function", **self.config}
        if isinstance(self.config, Mapping):
            self.config = configured_by(self.python_callable, self.config)
        return super().run_stage(job)

    def _source(self, returned: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the source that the function described, with what the decorator says of all of them."""
        if not {"type", "sources"} & returned.keys():
            raise refused(self.python_callable, returned, _WANTED, f"A source has a type; one row is [row]. {_HINT}")
        if isinstance(self.config, Mapping):
            return {**self.config, **returned}
        raise ConfigError.invalid(
            where=f"task {self.task_id}", key="config", problem="names a file, and the function returned a source, too",
            hint="Leave config out, or return rows.",
        )  # fmt: skip


def _gives_rows(thing: object) -> bool:
    return isinstance(thing, Iterable) or hasattr(thing, "__arrow_c_stream__")


@overload
def mlpipe_ingest(python_callable: Callable[P, R]) -> Task[P, R]: ...


@overload
def mlpipe_ingest(
    *,
    source: str | None = None,
    config: ConfigLike | None = None,
    **kwargs: Any,  # noqa: ANN401 - SourceIngestOperator's arguments
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def mlpipe_ingest(
    python_callable: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Make a function a task that ingests what the function gives; the task returns the raw artifact's URI.

    The function returns, or yields, rows (mappings), lists of rows, Arrow tables or record batches, DataFrames, or
    anything else that gives Arrow's C stream; a generator is read as it yields, in bounded memory. Types are told from
    all values unless declared, and rows that do not fit go to the quarantine. Or it returns a source as it would stand
    in ``ingestion_config.yaml``, which is then read. An error of the function is the task's, as it is.

    XCom and places are those of `SourceIngestOperator`.

    Example::

        @task.mlpipe_ingest(config={"required_columns": ["order_id"], "deduplicate": {"keys": ["order_id"]}})
        def orders(data_interval_start=None, data_interval_end=None):
            for page in client.pages(data_interval_start, data_interval_end):
                yield page["orders"]

        raw = orders()

    Args:
        python_callable: the function.
        source: the artifact's dataset name, and the source's name in `config` if that is a file; the function's name
            if absent.
        config: what is to be true of the rows: a mapping with what every source may have (``types``,
            ``required_columns``, ``columns``, ``deduplicate``, ``incremental``, ``schema_contract``,
            ``max_error_rate``), or an ingestion YAML file whose source is of ``type: function``.
        kwargs: what `SourceIngestOperator` takes, and every operator.

    Raises:
        TypeError: the function is async, or ``multiple_outputs`` is set.
    """
    return decorated(IngestDecoratedOperator, python_callable, kwargs, artifacts=False)
