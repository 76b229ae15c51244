"""A resource of dlt as a source: it is iterated, nothing more.

No pipeline is made, so dlt keeps no state and needs no destination. An incremental hint of the resource begins at its
initial value in every run; our window cuts what comes. What dlt does on the side is switched off unless the
environment says otherwise: telemetry, and looking for each setting in Airflow's variables, whose models it imports.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, did_you_mean
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable, is_transient
from airflow_provider_mlpipe.ingestion.items import stream_of
from airflow_provider_mlpipe.ingestion.markers import filled, moments_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, DltSource, Source
    from airflow_provider_mlpipe.ingestion.stream import Stream
    from airflow_provider_mlpipe.run import Run

__all__ = ["DltReader"]

_ON_THE_SIDE = ("RUNTIME__DLTHUB_TELEMETRY", "PROVIDERS__ENABLE_AIRFLOW_SECRETS")
_AGAIN_STATUS = {408, 425, 429}


class DltReader:
    """Reads all that a resource yields.

    Raises:
        ConfigError: ``{start}`` stands in an argument and nothing says when that is.
    """

    def __init__(
        self, source: Configured[Source], model: DltSource, *, run: Run, as_of: datetime | None = None
    ) -> None:
        self._source, self._model = source, model
        self._moments = moments_of(run, as_of)
        self._arguments = {name: self._filled(name, value) for name, value in model.arguments.items()}

    @property
    def location(self) -> str:
        """The resource's name."""
        selected = f" ({self._model.select})" if self._model.select else ""
        return f"dlt resource {self._model.resource}{selected}"

    @property
    def secrets(self) -> frozenset[str]:
        """Arguments that came from the environment."""
        depth = len(self._source.path)
        hidden = [path[depth:] for path in self._source.document.hidden if path[:depth] == self._source.path]
        found = (_at(self._model.arguments, path[1:]) for path in hidden if path[:1] == ("arguments",))
        return frozenset(value for value in found if isinstance(value, str))

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Call the resource, and give what it yields: tables as they are, records with types told from all of them."""
        with closing(self._items()) as items, stream_of(items, self._model) as stream:
            yield stream

    # ------------------------------------------------------------------ what the resource is

    def _items(self) -> Generator[Any, None, None]:
        """Yield what the resource yields, with its errors as ours."""
        for setting in _ON_THE_SIDE:
            os.environ.setdefault(setting, "false")
        resource = self._resource()
        try:
            yield from resource
        except (Overloaded, Unreadable):
            raise
        except Exception as error:
            raise _judgeable(error) from error

    def _resource(self) -> Any:  # noqa: ANN401 - dlt is not imported for its types
        try:
            from dlt.extract import DltResource, DltSource
        except ImportError as error:
            raise self._misconfigured(
                "type", "dlt is not installed", "pip install 'airflow-provider-mlpipe[dlt]'"
            ) from error
        found = self._named()
        if not isinstance(found, DltSource) and (self._arguments or not isinstance(found, DltResource)):
            found = self._called(found)
        if isinstance(found, DltSource):
            return self._selected(found)
        if isinstance(found, (list, tuple)) and all(isinstance(item, DltResource) for item in found):
            return self._chosen({item.name: item for item in found})
        if not isinstance(found, DltResource):
            problem = f"gives a {type(found).__name__}, neither a resource nor a source of dlt"
            raise self._misconfigured("resource", problem, "Decorate it with @dlt.resource.")
        return found

    def _named(self) -> Any:  # noqa: ANN401
        module_name, _, name = self._model.resource.partition(":")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise Unreadable(f"importing {module_name} failed: {error}") from error
            raise self._misconfigured(
                "resource", f"there is no module {error.name!r}", "It must be importable where the task runs."
            ) from error
        try:
            return getattr(module, name)
        except AttributeError:
            guess = did_you_mean(name, [known for known in dir(module) if not known.startswith("_")])
            problem = f"module {module_name!r} has no {name!r}.{guess}"
            raise self._misconfigured("resource", problem, "Write package.module:name.") from None

    def _called(self, found: Any) -> Any:  # noqa: ANN401
        if not callable(found):
            raise self._misconfigured(
                "resource", f"is a {type(found).__name__}", "Name a resource, source or function."
            )
        try:
            return found(**self._arguments)
        except TypeError as error:
            raise self._misconfigured(
                "arguments", str(error), "Compare them with the function's parameters."
            ) from error
        except Exception as error:
            raise _judgeable(error) from error

    def _selected(self, source: Any) -> Any:  # noqa: ANN401
        return self._chosen(dict(source.resources))

    def _chosen(self, resources: dict[str, Any]) -> Any:  # noqa: ANN401
        wanted = self._model.select
        if wanted is None and len(resources) == 1:
            return next(iter(resources.values()))
        if wanted in resources:
            return resources[wanted]
        problem = "the source has more than one resource" if wanted is None else f"no resource {wanted!r} in the source"
        guess = "" if wanted is None else did_you_mean(wanted, resources)
        raise self._misconfigured("select", f"{problem}.{guess}", f"It has: {', '.join(sorted(resources))}.")

    # ------------------------------------------------------------------ arguments

    def _filled(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any YAML
        if isinstance(value, dict):
            return {key: self._filled(f"{name}.{key}", item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(name, item) for item in value]
        if not isinstance(value, str):
            return value
        return filled(value, self._moments, lambda problem: self._misconfigured(f"arguments.{name}", problem))

    def _misconfigured(self, key: str, problem: str, hint: str = "") -> ConfigError:
        where = self._source.where(*key.split("."))
        return ConfigError.invalid(where=where, key=key, problem=problem, hint=hint)


def _at(value: Any, path: Iterable[Any]) -> Any:  # noqa: ANN401 - any YAML
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _judgeable(error: Exception) -> Exception:
    """Return an error that says whether trying again may help: what lies at the bottom of it tells."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    root = causes[-1] if len(causes) == 1 else next((item for item in causes if not _of_dlt(item)), causes[-1])
    text = f"{type(root).__name__}: {root}"
    return Overloaded(text) if any(map(_again, causes)) else Unreadable(text)


def _of_dlt(error: BaseException) -> bool:
    return type(error).__module__.startswith("dlt.")


def _again(error: BaseException) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status in _AGAIN_STATUS or status >= 500
    return bool(is_transient(error))
