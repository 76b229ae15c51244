"""Source -> window -> contract -> quarantine -> deduplication -> artifact.

One chunk of rows is in flight at a time, from the source to the writer, whatever the size of the source.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import SourceError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.connection import Connection
from airflow_provider_mlpipe.ingestion.contract import Contract
from airflow_provider_mlpipe.ingestion.deduplication import Deduplicator
from airflow_provider_mlpipe.ingestion.failures import Edge
from airflow_provider_mlpipe.ingestion.function import Raised
from airflow_provider_mlpipe.ingestion.quarantine import Quarantine
from airflow_provider_mlpipe.ingestion.readers import reader_of
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from airflow_provider_mlpipe.ingestion.watermark import FileWatermark, advance, start_of
from airflow_provider_mlpipe.ingestion.window import window_of
from airflow_provider_mlpipe.observability import Metrics, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.ingestion.stream import Chunk, Reader, Stream
    from airflow_provider_mlpipe.ingestion.target import Target
    from airflow_provider_mlpipe.ingestion.watermark import Watermark
    from airflow_provider_mlpipe.ingestion.window import Window
    from airflow_provider_mlpipe.run import Run

__all__ = ["ingest", "transfer"]

logger = logging.getLogger(__name__)


def ingest(
    source: Configured[Source],
    *,
    root: Storage,
    run: Run,
    as_of: datetime | None = None,
    connection: Connection | None = None,
    progress: Callable[[int], None] | None = None,
    watermark: Watermark | None = None,
    rows: Any = None,  # noqa: ANN401 - rows in any of many forms
) -> Artifact:
    """Read a source and publish its rows as an artifact of stage ``raw``.

    Args:
        source: what to read; `config.source` gives it.
        root: the artifact root.
        run: who reads, and for which interval.
        as_of: the end of what an incremental source reads; the interval's end if None.
        connection: settings resolved from an Airflow connection; they come before those of the YAML.
        progress: called with the number of rows read so far, after every chunk.
        watermark: where ``window: watermark`` is kept; a file beside the artifacts if None.
        rows: of a source of type ``function``, what the function returned: a table, or an iterable of rows (mappings),
            lists of rows or tables. A generator is read as it yields; an error that it raises is raised as it is.

    Returns:
        The artifact, even if there were no rows: then it has the schema and no row.

    Raises:
        ConfigError: the configuration does not say enough, or contradicts itself.
        SourceUnavailableError: the source cannot be reached now; a retry may help.
        SourceRejectedError: there is no such table, column, file; no permission; an answer that cannot be read.
        PublishError: the storage refused; what was there before is untouched.
    """
    mark = watermark or FileWatermark.of(source, root, run)
    window = window_of(source, run, as_of, lambda end: start_of(source, run, end, mark, root))
    target = ArtifactTarget(root=root, source=source, run=run)
    reader = reader_of(
        source, connection or Connection(), window=window, run=run, as_of=as_of, stage=target.stage, rows=rows
    )
    try:
        published: Artifact = transfer(source, reader, target, window=window, progress=progress)
    except Raised as raised:
        raise raised.error from raised.error.__cause__
    if window is not None and source.model.incremental.window == "watermark":  # type: ignore[union-attr] # there is one
        advance(mark, window.end)
    return published


def transfer(
    source: Configured[Source],
    reader: Reader,
    target: Target,
    *,
    window: Window | None = None,
    progress: Callable[[int], None] | None = None,
) -> Any:  # noqa: ANN401 - whatever the target publishes
    """Move the rows of `reader` to `target` and return what it published."""
    watch = Stopwatch()
    edge = Edge(source.name, reader.location, reader.secrets)
    logger.info("source %s: reading %s", source.name, reader.location)
    with ExitStack() as stack:
        stream = stack.enter_context(edge.around(reader.open()))
        if window is not None:
            window.check(stream.schema)
        flow = _Flow(source, reader, stream, window, stack, target)
        for chunk in edge.each(stream.chunks):
            flow.take(chunk)
            if progress is not None:
                progress(flow.read)
        metrics, details = flow.finish()
        details["type"], details["location"] = source.model.type, reader.location
        published = flow.writer.publish({**metrics, **stream.counts, **watch.readings()}, details)
    logger.info("source %s: %d rows read, %d written, %d failed, %d duplicates", source.name, metrics["records_read"],
                metrics["records_written"], metrics["records_failed"], metrics["duplicates_dropped"])  # fmt: skip
    return published


class _Flow:
    """Takes chunks on their way to the writer and counts them."""

    def __init__(
        self,
        source: Configured[Source],
        reader: Reader,
        stream: Stream,
        window: Window | None,
        stack: ExitStack,
        target: Target,
    ) -> None:
        self._source, self._stream, self._window = source, stream, window
        self._location = reader.location
        self._contract = Contract(source, stream.schema, reader.location, target.accepted())
        self.writer = stack.enter_context(target.writer(self._contract.schema))
        self._quarantine = stack.enter_context(Quarantine(target.quarantine, always=target.has_quarantine()))
        rule = source.model.deduplicate
        self._deduplicator = None if rule is None else stack.enter_context(Deduplicator(rule, self._contract.schema))
        self.read = self._good = self._written = self._bytes = 0

    def take(self, chunk: Chunk) -> None:
        """Move one chunk on."""
        batch = chunk.batch if self._window is None else self._window.only(chunk.batch)
        batch, misfits = self._contract.apply(batch)
        window = self._window
        rejected = [item for item in chunk.rejected if window is None or window.holds(item.row)] + misfits
        self._quarantine.add(rejected)
        self.read += batch.num_rows + len(rejected)
        self._good += batch.num_rows
        self._bytes += batch.nbytes
        if self._deduplicator is None:
            self._write(batch)
        else:
            self._deduplicator.write(batch)

    def finish(self) -> tuple[Metrics, dict[str, Any]]:
        """Deduplicate, publish the quarantine, and return the numbers."""
        if self._deduplicator is not None:
            for batch in self._deduplicator.kept():
                self._write(batch)
        failed = self._quarantine.rows
        dropped = self._good - self._written
        if self.read != self._written + failed + dropped or dropped < 0 or (dropped and not self._deduplicator):
            raise SourceError(
                f"source {self._source.name!r}: the rows do not add up: {self.read} read, {self._written} written, "
                f"{failed} failed, {dropped} duplicates",
                hint="Nothing was published. This is a fault of the provider: please report it.",
            )
        self._refuse_too_many(failed)
        metrics = Metrics(
            records_read=self.read,
            records_written=self._written,
            records_failed=failed,
            duplicates_dropped=dropped,
            bytes_processed=self._bytes,
            error_rate=failed / self.read if self.read else 0.0,
        )
        details = {
            "source": self._source.name,
            "window": None if self._window is None else self._window.as_list(),
            "quarantine": self._quarantine.publish(),
            "schema_detected": self._stream.detected,
            "schema_changes": self._contract.changes,
            "values_discarded": self._contract.discarded,
            **self._stream.details,
        }
        return metrics, details

    def _refuse_too_many(self, failed: int) -> None:
        limit = self._source.model.max_error_rate
        if failed <= limit * self.read:
            return
        reasons = "; ".join(self._quarantine.reasons)
        raise SourceRejectedError.refused(
            source=self._source.name,
            location=self._location,
            problem=f"{failed:,} of {self.read:,} rows do not fit, more than max_error_rate = {limit:g}: {reasons}",
            hint="Nothing was published. Repair the source or the declared types; or raise max_error_rate at "
            f"{self._source.where('max_error_rate')}, and look at the quarantine.",
        )

    def _write(self, batch: pa.RecordBatch) -> None:
        self._written += batch.num_rows
        self.writer.write(batch)
