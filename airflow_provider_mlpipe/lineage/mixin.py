"""What OpenLineage's provider calls on an operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_mlpipe.lineage.trail import Trail

__all__ = ["OpenLineageMixin"]


class OpenLineageMixin:
    """Tells OpenLineage what an operator reads and writes; without its provider nobody asks, and nothing is needed.

    The provider asks in a forked process, so nothing is looked up here: what there is to say stands in `trail`, which
    the operator fills while it executes, or in its own arguments before that.
    """

    lineage_fields: ClassVar[Sequence[str]] = ("artifact", "inputs", "chunks", "related", "labels")
    """Arguments that are URIs of artifacts, or hold some."""

    trail: Trail | None = None

    def get_openlineage_facets_on_start(self) -> Any:  # noqa: ANN401 - OperatorLineage, of a provider that may be absent
        """Return the artifacts that the task is going to read."""
        from airflow_provider_mlpipe.lineage.facets import of_places
        from airflow_provider_mlpipe.lineage.places import place_of

        given = [getattr(self, name, None) for name in self.lineage_fields]
        return of_places(dict.fromkeys(place_of(uri) for uri in _uris(given)))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ANN401, ARG002
        """Return what was read and written, column by column, and what was found out about it."""
        if self.trail is None:
            return self.get_openlineage_facets_on_start()
        from airflow_provider_mlpipe.lineage.facets import of_trail

        return of_trail(self.trail)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:  # noqa: ANN401
        """Return the same as far as it came: of rejected data every rule that failed."""
        return self.get_openlineage_facets_on_complete(task_instance)


def _uris(value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever stands in an argument
    """Yield texts, however deep; not what is still to be asked of Airflow."""
    if isinstance(value, str):
        if "{{" not in value and value:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _uris(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _uris(item)
