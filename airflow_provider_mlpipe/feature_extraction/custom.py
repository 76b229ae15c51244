"""Features that a user writes in Python: what they are marked with, what they are given, how they are found.

::

    @feature(entity="user_id", inputs=["activity"], window="30d", description="Tasks bigger than a day.", unit="tasks")
    def big_tasks(tables, context):
        activity = tables["activity"]
        big = activity.filter(activity.hours > 8)
        return big.group_by("user_id").aggregate(big_tasks=big.count())

    # in the YAML: custom: [my_project.features:big_tasks]

A function cannot see what it must not: its tables hold what happened in [as_of - window, as_of) only, and times to come
are null.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction.declaration import Meaning
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

__all__ = ["GROUP", "Context", "Custom", "Output", "feature", "load", "problem_in"]

GROUP = "mlpipe.features"
"""The entry point group in which a package offers its functions."""

_MARK = "__mlpipe_feature__"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a function is told beside its tables.

    Attributes:
        entity: the key column that its result must have.
        as_of: the run's moment.
        start: where the window begins, and
        end: where it ends: as_of, less the set's `delay`.
    """

    entity: str
    as_of: datetime
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class Custom:
    """A function of a user and what it says of itself.

    Attributes:
        function: ``(tables, context)``; see `feature`.
        names: the features that it returns, which are columns of its result.
        inputs: by input, the columns that it reads, by our names; none means all of them.
        window: how much of the events it sees.
        pandas: whether it computes with DataFrames, which only the embedded engine can give it.
    """

    function: Callable[[Mapping[str, Any], Context], Any]
    names: tuple[str, ...]
    entity: str
    inputs: Mapping[str, tuple[str, ...]]
    window: timedelta
    pandas: bool
    meaning: Meaning

    @property
    def path(self) -> str:
        """The function's import path."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def place(self) -> str:
        """File and line of the function."""
        code = self.function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def digest(self) -> str:
        """A hash of the function's text: another text may mean other features."""
        try:
            text = inspect.getsource(self.function)
        except OSError:
            text = self.function.__code__.co_code.hex()
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """One feature of a function."""

    custom: Custom
    column: str


def feature(
    *,
    entity: str,
    inputs: Sequence[str] | Mapping[str, Sequence[str]],
    window: str,
    features: Sequence[str] = (),
    pandas: bool = False,
    description: str = "",
    unit: str = "",
    value_range: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function ``(tables, context)`` as one that computes features.

    `tables` holds an Ibis table per input, by our column names, cut to the window; the function returns an Ibis table
    with the entity's key, each once at most, and a column of numbers per feature. Entities that are not in it get null.
    Use portable operations: the same function runs on DuckDB and on Spark.

    Args:
        entity: the key column of the result, such as ``user_id``.
        inputs: the inputs, or by input the columns that are read, which lineage then knows.
        window: how far back it looks, such as ``30d``.
        features: the columns of the result that are features; the function's name if none is given.
        pandas: give it DataFrames and take one. Then it runs on the embedded engine only, and in memory.
        description: what the features say, for the documentation.
        unit: what they count in.
        value_range: the values that they can take, as an interval.
    """
    columns = inputs if hasattr(inputs, "items") else dict.fromkeys(inputs, ())

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        custom = Custom(
            function=function,
            names=tuple(features) or (function.__name__,),
            entity=entity,
            inputs={role: tuple(names) for role, names in columns.items()},
            window=duration(window),
            pandas=pandas,
            meaning=Meaning(
                description=description or (inspect.getdoc(function) or "").split("\n", 1)[0],
                unit=unit,
                range=value_range,
                formula=f"{function.__module__}:{function.__qualname__} over {window}",
            ),
        )
        setattr(function, _MARK, custom)
        return function

    return mark


def load(name: str, *, where: str) -> Custom:
    """Return the function at an import path, ``package.module:function``, or of an entry point of that name.

    Raises:
        ConfigError: there is none, importing fails, or it is not marked with ``@feature``.
    """
    found = _imported(name, where) if ":" in name else _offered(name, where)
    custom = getattr(found, _MARK, None)
    if custom is None:
        raise ConfigError.invalid(
            where=where, key="custom", problem=f"{name} is not a feature",
            hint="Mark the function with @feature(entity=..., inputs=[...], window=...).",
        )  # fmt: skip
    return custom  # type: ignore[no-any-return]


def _imported(name: str, where: str) -> object:
    module, _, attribute = name.partition(":")
    try:
        found: object = import_module(module)
        for step in attribute.split("."):
            found = getattr(found, step)
    except Exception as error:
        raise ConfigError.invalid(
            where=where, key="custom", problem=f"{name} cannot be imported: {type(error).__name__}: {error}",
            hint="Write package.module:function; the module must be importable where the task runs.",
        ) from error  # fmt: skip
    return found


def _offered(name: str, where: str) -> object:
    offers = {offer.name: offer for offer in entry_points(group=GROUP)}
    if name not in offers:
        raise ConfigError.unknown_name(
            where=where, kind=f"entry point of {GROUP}", name=name, known=offers,
            hint="Write package.module:function for a function that no package offers.",
        )  # fmt: skip
    try:
        found: object = offers[name].load()
    except Exception as error:
        raise ConfigError.invalid(
            where=where, key="custom",
            problem=f"{name} ({offers[name].value}) cannot be loaded: {type(error).__name__}: {error}",
        ) from error  # fmt: skip
    return found


def problem_in(custom: Custom, problem: str, *, where: str, hint: str = "") -> FeatureError:
    """Return an error that names the function, its file and line, and the YAML's."""
    return FeatureError.because(
        where=where, feature=", ".join(custom.names), problem=f"{custom.path} ({custom.place}) {problem}", hint=hint
    )
