"""Calling the function of a decorated task: which of its arguments are artifacts, and what it may return."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import determine_kwargs, task_decorator_factory

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.providers.common.compat.sdk import Context, TaskDecorator

    from airflow_provider_mlpipe.config import Inline

__all__ = ["arguments", "artifact_parameters", "call", "configured_by", "decorated", "place_of", "refused"]

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (*_BY_POSITION, inspect.Parameter.KEYWORD_ONLY)


def decorated(
    operator: type[Any],
    function: Callable[..., Any] | None,
    options: Mapping[str, Any],
    *,
    artifacts: bool,
) -> TaskDecorator:
    """Return what a decorator returns: tasks of `operator` that call the function.

    Args:
        operator: the decorated operator.
        function: the function; None if the decorator was called with options first.
        options: arguments of the operator.
        artifacts: whether the function must have a parameter for an artifact.

    Raises:
        TypeError: the function, or an option, is of no use to such a task. This is seen when the Dag is parsed.
    """
    name = operator.custom_operator_name
    if options.get("multiple_outputs"):
        raise TypeError(f"{name} returns an artifact's address, one text: leave multiple_outputs out")

    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - Airflow's _TaskDecorator
        _check(function, name, artifacts=artifacts)
        given = {key: value for key, value in options.items() if key != "multiple_outputs"}
        # Said, because Airflow would conclude True from a function annotated to return a mapping.
        return task_decorator_factory(function, multiple_outputs=False, decorated_operator_class=operator, **given)

    made: TaskDecorator = decorate if function is None else decorate(function)  # type: ignore[assignment]
    return made


def _check(function: Callable[..., Any], name: str, *, artifacts: bool) -> None:
    if not callable(function):
        raise TypeError(f"{name} takes its options by name, and a function; it got {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{place_of(function)}: {name} calls the function as it is; write def, not async def")
    if artifacts and not artifact_parameters(function):
        raise TypeError(
            f"{place_of(function)}: {name} needs a parameter without a default for the artifact, as in "
            f"def {_name(function)}(artifact): ..."
        )


def artifact_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the parameters that take artifacts: those without a default, but for the ones that Airflow fills in.

    >>> artifact_parameters(lambda users, activity, window="7d", *, data_interval_end: None)
    ('users', 'activity')
    """
    from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

    return tuple(
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in _NAMED and parameter.default is parameter.empty and name not in KNOWN_CONTEXT_KEYS
    )


def arguments(function: Callable[..., Any], op_args: Collection[Any], op_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the addresses of artifacts that the task gives the function, by parameter.

    Raises:
        ConfigError: what it gives is no address, nor several.
    """
    bound = inspect.signature(function).bind_partial(*op_args, **op_kwargs).arguments
    found = {name: value for name, value in bound.items() if name in artifact_parameters(function)}
    for name, value in found.items():
        if not isinstance(value, (str, Iterable)) or isinstance(value, (bytes, Mapping)):
            raise ConfigError.invalid(
                where=place_of(function), key=f"{name!r} of {function.__name__}()",
                problem=f"is {value!r}, {_kind(value)}, not an artifact's address",
                hint="Parameters without a default take artifacts: give a plain value a default.",
            )  # fmt: skip
    return found


def call(
    function: Callable[..., Any],
    op_args: Collection[Any],
    op_kwargs: Mapping[str, Any],
    context: Context,
    opened: Mapping[str, Any] | None = None,
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Call the function with its arguments, with what it asks of Airflow's context, and with opened artifacts."""
    opened = opened or {}
    names = [name for name, item in inspect.signature(function).parameters.items() if item.kind in _BY_POSITION]
    positional = [
        opened.get(names[position], value) if position < len(names) else value for position, value in enumerate(op_args)
    ]
    named = {name: opened.get(name, value) for name, value in op_kwargs.items()}
    return function(*positional, **determine_kwargs(function, positional, {**context, **named}))


def place_of(function: Callable[..., Any]) -> str:
    """Return ``file:line`` of a function, as far as it has one."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def configured_by(function: Callable[..., Any], config: Mapping[str, Any]) -> Inline:
    """Return a configuration that a function returned, or was decorated with: errors in it name the function."""
    from airflow_provider_mlpipe.config import Inline

    return Inline(config, place=f"{place_of(function)}: {_name(function)}()")


def refused(function: Callable[..., Any], returned: object, wanted: str, hint: str) -> ConfigError:
    """Return the error for a function that returned something else than what was wanted."""
    what = "nothing" if returned is None else _kind(returned)
    return ConfigError.invalid(
        where=place_of(function), key=f"{_name(function)}()", problem=f"returned {what}, not {wanted}", hint=hint
    )


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "function")


def _kind(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
