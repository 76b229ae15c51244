"""Judging many expectations without GX's fixed price for each.

Before `metrics_validate` judges, it asks the expectation which metrics it needs, and meanwhile it builds the
configuration of that expectation anew some sixty times: nearly all that a judgement costs. The configuration does not
change, and the names of the metrics are the same for all expectations of a class, so both are kept. What GX says of the
metrics stays what GX says.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import Expectation
from great_expectations.validator.validator import ValidationDependencies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Judge"]

_built = Expectation.configuration.fget
_ASKED = "get_validation_dependencies"


class _Judged(threading.local):
    """The expectation that this thread is judging, and its configuration."""

    expectation: Any = None
    configuration: Any = None


_judged = _Judged()


def _configuration(self: Any) -> Any:  # noqa: ANN401 - GX ships no types for us
    return _judged.configuration if self is _judged.expectation else _built(self)


class Judge:
    """Lets expectations judge metrics that were computed elsewhere."""

    def __init__(self) -> None:
        self._engine = PandasExecutionEngine()  # names metrics only; it never sees data
        self._needs: dict[type, Mapping[str, Any]] = {}
        # Put in place once and left there: for whatever this thread is not judging it answers as GX's own.
        if Expectation.configuration.fget is not _configuration:
            Expectation.configuration = property(_configuration)

    def __call__(self, expectation: Any, metrics: Mapping[Any, Any], form: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return GX's ExpectationValidationResult.

        Args:
            expectation: of a class whose metrics have the same names whatever its arguments are.
            metrics: by GX's id ``(name, domain, arguments)``, of which only the name may count.
            form: GX's ``result_format``.
        """
        kind = type(expectation)
        if kind not in self._needs:
            found = expectation.get_validation_dependencies(
                execution_engine=self._engine, runtime_configuration={"result_format": dict(form)}
            )
            self._needs[kind] = found.metric_configurations
        with _remembered(expectation, self._needs[kind]):
            return expectation.metrics_validate(
                metrics=metrics,
                execution_engine=self._engine,
                runtime_configuration={"result_format": dict(form)},
            )

    def in_full(self, expectation: Any, metrics: Mapping[Any, Any], form: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the same for an expectation of any class."""
        return expectation.metrics_validate(
            metrics=metrics, execution_engine=self._engine, runtime_configuration={"result_format": dict(form)}
        )


@contextmanager
def _remembered(expectation: Any, needs: Mapping[str, Any]) -> Iterator[None]:  # noqa: ANN401
    """Let `expectation` answer with what is known of it as long as the block lasts, in this thread only."""

    def dependencies(runtime_configuration: dict[str, Any], **_: Any) -> ValidationDependencies:  # noqa: ANN401
        return ValidationDependencies(
            metric_configurations=dict(needs), result_format=runtime_configuration["result_format"]
        )

    _judged.configuration, _judged.expectation = _built(expectation), expectation
    # Beside the fields, as pydantic allows no other attribute; nobody looks at the fields before it is gone.
    vars(expectation)[_ASKED] = dependencies
    try:
        yield
    finally:
        del vars(expectation)[_ASKED]
        _judged.configuration = _judged.expectation = None
