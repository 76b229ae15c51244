"""What the configuration promises of a source's columns: their names, which must be there, which are added."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, Source

__all__ = ["Contract"]


class Contract:
    """Renames a source's columns to ours and checks that what is required is there.

    Args:
        source: the configured source.
        schema: what it gives, by its own names.
        location: where it is, for messages.

    Raises:
        SourceRejectedError: a column that is required, mapped, or a key is missing, or a name appears twice.
        ConfigError: the mapping gives one name to two columns.
    """

    def __init__(self, source: Configured[Source], schema: pa.Schema, location: str) -> None:
        import pyarrow as pa

        self._source, self._location = source, location
        mapping = source.model.columns
        theirs = list(schema.names)
        self._refuse_twins(theirs)
        self._require([name for name in mapping.values() if name is not None], theirs)
        renamed: dict[str, list[str]] = {}
        for ours, their in mapping.items():
            if their is not None:
                renamed.setdefault(their, []).append(ours)
        self._refuse_clashes(theirs, renamed)
        pairs = [(ours, their) for their in theirs for ours in renamed.get(their, [their])]
        self._positions = [theirs.index(their) for _, their in pairs]
        self._added = [ours for ours, their in mapping.items() if their is None]
        fields = [pa.field(ours, schema.field(their).type) for ours, their in pairs]
        # A column that the source does not have has no type either.
        self.schema: pa.Schema = pa.schema(fields + [pa.field(name, pa.null()) for name in self._added])
        self._require([*source.model.required_columns, *self._keys()], list(self.schema.names))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of `batch` under our names."""
        import pyarrow as pa

        columns = [batch.column(position) for position in self._positions]
        columns += [pa.nulls(batch.num_rows)] * len(self._added)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _keys(self) -> list[str]:
        deduplicate = self._source.model.deduplicate
        return [] if deduplicate is None else [*deduplicate.keys, *deduplicate.order_by]

    def _require(self, names: list[str], available: list[str]) -> None:
        missing = [name for name in dict.fromkeys(names) if name not in available]
        if missing:
            raise SourceRejectedError.missing_columns(
                source=self._source.name, location=self._location, missing=missing, available=available
            )

    def _refuse_twins(self, theirs: list[str]) -> None:
        twins = [name for name, count in Counter(theirs).items() if count > 1]
        if twins:
            raise SourceRejectedError.refused(
                source=self._source.name,
                location=self._location,
                problem=f"more than one column is named {', '.join(map(repr, twins))}",
                hint="Give each column of the query a name of its own: SELECT a.id AS a_id, b.id AS b_id.",
            )

    def _refuse_clashes(self, theirs: list[str], renamed: dict[str, list[str]]) -> None:
        kept = set(theirs) - set(renamed)
        for ours in self._source.model.columns:
            if ours in kept:
                raise ConfigError.invalid(
                    where=self._source.where("columns", ours),
                    key=f"columns.{ours}",
                    problem="the source has a column of that name already, and it is not renamed",
                    hint=f"Rename it too (columns: {{other_{ours}: {ours}}}), or leave {ours} out of the mapping.",
                )
