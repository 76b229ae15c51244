"""``ingestion_config.yaml``: the sources."""

from __future__ import annotations

from datetime import date, datetime, timedelta  # noqa: TC003 - pydantic reads annotations at run time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from airflow_provider_mlpipe.config.delimited import CsvOptions
from airflow_provider_mlpipe.config.kafka import KafkaOptions
from airflow_provider_mlpipe.config.rest import Auth, Paginator, Rate, Size, Tls
from airflow_provider_mlpipe.config.section import Length, Section
from airflow_provider_mlpipe.run import duration

__all__ = [
    "ApiSource",
    "DatabaseSource",
    "Deduplicate",
    "DltSource",
    "FileSource",
    "FunctionSource",
    "Incremental",
    "IngestionFile",
    "KafkaSource",
    "SchemaContract",
    "Source",
]


Nested = Literal["json", "struct", "flatten"]


class Incremental(Section):
    """Read only a stretch of time, half-open, that ends at the run's as_of: a backfill reads what that day's run read.

    Attributes:
        cursor_column: the time column, by the source's name for it.
        window: ``interval`` for [interval start, interval end), ``all`` for everything before the end, a length such
            as ``31d`` for [end - 31 d, end), or ``watermark`` for [end of what was read before, end): for runs that no
            interval bounds. The watermark moves forward only, after the artifact is published, and never by a backfill
            or a test run.
        lookback: how much earlier ``interval`` and ``watermark`` begin, for rows that are committed late.
        initial: where ``watermark`` begins the first time; everything before the end if absent.
        on_null: what becomes of rows without a time: ``exclude``, ``include`` or ``fail``.
    """

    cursor_column: str
    window: Literal["interval", "all", "watermark"] | Length = "interval"
    lookback: Length = "0s"
    initial: datetime | date | None = None
    on_null: Literal["exclude", "include", "fail"] = "exclude"

    @model_validator(mode="after")
    def _where_it_counts(self) -> Incremental:
        if self.initial is not None and self.window != "watermark":
            raise ValueError("initial is where window: watermark begins; another window has no use for it")
        if duration(self.lookback) and self.window not in {"interval", "watermark"}:
            raise ValueError("lookback belongs to window: interval or watermark; make the window itself longer")
        return self

    @property
    def length(self) -> timedelta | None:
        """The window's length if it was given as one."""
        return None if self.window in {"interval", "all", "watermark"} else duration(self.window)

    @property
    def lookback_length(self) -> timedelta:
        """`lookback` as a length of time."""
        return duration(self.lookback)


class Deduplicate(Section):
    """Keep one row per key: the last by `order_by` (descending, nulls last), else any one, always the same one.

    Attributes:
        keys: the columns that tell rows apart, by our names for them.
        order_by: the columns that say which row is the latest.
        keep: ``latest``, or ``first`` by `order_by`; a row without a value there gives way to one with a value.
    """

    keys: list[str] = Field(min_length=1)
    order_by: list[str] = []
    keep: Literal["latest", "first"] = "latest"


class SchemaContract(Section):
    """What becomes of a schema that is not that of the newest earlier run. Every change is logged in any case.

    Attributes:
        new_columns: ``evolve`` publishes the column, ``freeze`` refuses the source, ``discard_value`` leaves the column
            out, ``discard_row`` also sends rows that have a value in it to the quarantine.
        missing_columns: ``evolve`` publishes without the column, ``freeze`` refuses the source, ``fill`` publishes
            nulls in its place.
        types: ``evolve`` publishes the new type, ``freeze`` refuses the source; ``discard_row`` and ``discard_value``
            keep the old type: a row, or only the value, that it cannot hold exactly goes.
    """

    new_columns: Literal["evolve", "freeze", "discard_row", "discard_value"] = "evolve"
    missing_columns: Literal["evolve", "freeze", "fill"] = "evolve"
    types: Literal["evolve", "freeze", "discard_row", "discard_value"] = "evolve"


_Mode = Literal["evolve", "freeze", "discard_row", "discard_value"]


def _mode_short(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
    if not isinstance(value, str):
        return value
    missing = "fill" if value.startswith("discard") else value
    return {"new_columns": value, "missing_columns": missing, "types": value}


ColumnWord = Annotated[str, Field(pattern=r"^(string|int|float|bool|timestamp|date|time|binary|decimal\(\d+, ?\d+\))$")]


class _Source(Section):
    """What every source has.

    Attributes:
        dataset: the artifact's dataset name; the source's own name if absent.
        required_columns: columns that the source must have, after mapping. (That they hold no nulls is validation's.)
        columns: mapping ``ours: theirs``; ``ours: null`` adds a column of nulls that the source does not have.
            Columns that are not named keep their own names.
        types: the type of a column, by our name for it: string, int, float, bool, timestamp (UTC), date, time, binary
            or decimal(precision,scale). Text is read as what it writes; a row with a value that does not fit goes to
            the quarantine.
        schema_contract: what becomes of a schema that changed since the last run; a word alone (``evolve``, ``freeze``,
            ``discard_row``, ``discard_value``) stands for all kinds of change.
        max_error_rate: the share of the rows read that may go to the quarantine; with more, nothing is published.
        batch_size: rows to fetch at a time; a hint.
        incremental: read a stretch of time instead of everything.
        deduplicate: keep the latest row per key.
    """

    dataset: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_\-]+$")
    required_columns: list[str] = []
    columns: dict[str, str | None] = {}
    types: dict[str, ColumnWord] = {}
    schema_contract: Annotated[
        SchemaContract, BeforeValidator(_mode_short, json_schema_input_type=_Mode | SchemaContract)
    ] = SchemaContract()
    max_error_rate: float = Field(default=1.0, ge=0, le=1)
    batch_size: PositiveInt = 10_000
    incremental: Incremental | None = None
    deduplicate: Deduplicate | None = None


class DatabaseSource(_Source):
    """A table, view or query of any database with a SQLAlchemy or DB-API driver.

    Attributes:
        type: ``database``.
        connection_string: a SQLAlchemy URL; or `conn_id`.
        conn_id: the Airflow connection (operators only); or `connection_string`.
        driver: an importable DB-API 2.0 module such as ``duckdb``, for databases that SQLAlchemy does not know; in
            place of the other two.
        connect: the arguments of the driver's ``connect()``.
        table: ``name`` or ``schema.name``, either in double quotes if it holds a dot; or `query`.
        query: a SELECT, with ``:name`` where a value of `parameters` goes; or `table`.
        parameters: the values of the query, by name.
        parallel: connections that read at the same time, all in one snapshot (PostgreSQL; others read with one). Each
            takes a range of the table's pages, or of the values of `parallel_key`.
        parallel_key: the column that a view, foreign table or query is divided by: whole numbers, numeric, dates or
            times, by the source's name; best one with an index.
        zero_dates: what becomes of dates of MySQL that no calendar has (``0000-00-00``, ``2026-02-31``): ``reject``
            sends the row to the quarantine, ``null`` publishes a null and counts it, ``text`` publishes all dates of
            the table as text.
    """

    type: Literal["database"]
    connection_string: SecretStr | None = None
    conn_id: str | None = None
    driver: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")] | None = None
    connect: dict[str, Any] = {}
    table: str | None = None
    query: str | None = None
    parameters: dict[str, Any] = {}
    parallel: int = Field(default=1, ge=1, le=16)
    parallel_key: str | None = None
    zero_dates: Literal["reject", "null", "text"] = "reject"

    @model_validator(mode="after")
    def _one_of(self) -> DatabaseSource:
        if (self.table is None) == (self.query is None) or not (self.table or self.query or "").strip():
            raise ValueError("give either table or query")
        if self.connection_string is not None and self.conn_id is not None:
            raise ValueError("give connection_string or conn_id, not both")
        if self.driver is not None and (self.connection_string is not None or self.conn_id is not None):
            raise ValueError("driver stands in place of connection_string and conn_id")
        if self.connect and self.driver is None:
            raise ValueError("connect is what the driver is called with; name the driver")
        return self


class ApiSource(_Source):
    """A REST endpoint that answers JSON.

    Attributes:
        type: ``api``.
        url: absolute, or relative to the host of `conn_id`.
        conn_id: the Airflow connection with host, login and headers (operators only).
        headers: sent with every request to the endpoint's own origin; values never appear in logs.
        auth: who asks; what it leaves out comes from the connection.
        tls: certificates of https: of a private authority, or of whoever asks; they come before the connection's.
        params: query parameters; ``{start}`` and ``{end}`` stand for the interval in ISO 8601.
        data_key: where the records are in the answer: ``tasks``, ``result.items`` or a JSONPath; the top if absent.
        paginator: how to come to the next page: ``auto``, ``json_link``, ``header_link``, ``cursor``, ``offset``,
            ``page_number`` or ``single_page``, alone or with its keys.
        next_key: the short form of a ``json_link`` or ``cursor``: where the link or token of the next page is (dotted).
        next_param: the query parameter that a token goes into.
        allow_origins: further origins that redirects and links may lead to, e.g. ``https://cdn.example.com``; headers
            and credentials are not sent there.
        nested: what becomes of objects and lists inside records: ``json`` text, ``struct`` columns, or ``flatten``:
            a column ``a__b`` per inner key, lists as JSON text.
        prefetch: pages to ask for at the same time, where their addresses are known beforehand (``page_number``;
            ``offset`` with a total).
        rate_limit: requests at most, e.g. ``10/s`` or ``600/m``.
        max_pages: stop with an error rather than go on without end.
        max_bytes: of all answers together, unpacked; more is an error.
        max_page_bytes: of one answer, unpacked: it is held in memory.
        timeout_seconds: per request, for connecting and between two pieces of an answer.
        deadline: for all pages together, waits included; longer is an error.
        max_retries: further tries after a connection error, 429 or 5xx; ``Retry-After`` is honoured up to a minute.
    """

    type: Literal["api"]
    url: str
    conn_id: str | None = None
    headers: dict[str, SecretStr] = {}
    auth: Auth | None = None
    tls: Tls = Tls()
    params: dict[str, str | int | float | bool] = {}
    data_key: str | None = None
    paginator: Paginator | None = None
    next_key: str | None = None
    next_param: str | None = None
    allow_origins: list[Annotated[str, Field(pattern=r"^https?://[^/]+/?$")]] = []
    nested: Nested = "json"
    prefetch: int = Field(default=1, ge=1, le=16)
    rate_limit: Rate | None = None
    max_pages: PositiveInt = 10_000
    max_bytes: Size = 10_000_000_000
    max_page_bytes: Size = 256_000_000
    timeout_seconds: PositiveFloat = 30.0
    deadline: Length = "2h"
    max_retries: int = Field(default=4, ge=0, le=20)

    @model_validator(mode="after")
    def _one_way_on(self) -> ApiSource:
        if self.paginator is not None and (self.next_key or self.next_param):
            raise ValueError("next_key and next_param are a short form of paginator; give one of the two")
        if self.next_param and not self.next_key:
            raise ValueError("next_param needs next_key, which says where the token is")
        return self


class FileSource(_Source):
    """Files on disk or in a bucket.

    Attributes:
        type: ``file``.
        path: a file, a folder, or a glob; local or ``s3://``. ``{start:%Y/%m/%d}`` and ``{end:%Y/%m/%d}`` stand for the
            bounds of the interval, in UTC.
        format: told from the names unless given. ``.gz``, ``.bz2`` and ``.zst`` are unpacked on the way.
        csv: how CSV files are written.
        nested: what becomes of objects and lists inside JSON records, as for an API.
        select: the columns to read, by the files' names for them; all if absent. Of parquet, only these are fetched.
        only_new: read only files that no earlier run has read, or that changed since (ETag in a bucket, time and size
            on disk). What was read stands in the manifests, so a run that is repeated reads what it read.
        max_record_bytes: of one line, row or JSON record, unpacked; a longer one is an error.
        conn_id: the Airflow connection for ``s3://`` (operators only).
    """

    type: Literal["file"]
    path: str
    format: Literal["auto", "csv", "json", "jsonl", "parquet"] = "auto"
    csv: CsvOptions = CsvOptions()
    nested: Nested = "json"
    select: list[str] = []
    only_new: bool = False
    max_record_bytes: Size = 64_000_000
    conn_id: str | None = None


class KafkaSource(_Source, KafkaOptions):
    """Topics of Kafka, or of whatever speaks its protocol: a fixed stretch of offsets per run.

    Attributes:
        type: ``kafka``.
    """

    type: Literal["kafka"]


class DltSource(_Source):
    """A resource of dlt: its rows, by our contract, without dlt's pipelines, state and destinations.

    Attributes:
        type: ``dlt``.
        resource: ``package.module:name`` of a resource or source, or of a function that returns one.
        arguments: what it is called with. In texts, ``{start}`` and ``{end}`` stand for the interval in ISO 8601.
        select: which resource of a source; needed if it has more than one.
        nested: what becomes of objects and lists inside records, as for an API.
    """

    type: Literal["dlt"]
    resource: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    arguments: dict[str, Any] = {}
    select: str | None = None
    nested: Nested = "json"


class FunctionSource(_Source):
    """Rows that a function of Python returns or yields: one decorated with ``@task.mlpipe_ingest``.

    Attributes:
        type: ``function``.
        nested: what becomes of objects and lists inside rows, as for an API.
    """

    type: Literal["function"]
    nested: Nested = "json"


Source = Annotated[
    DatabaseSource | ApiSource | FileSource | KafkaSource | DltSource | FunctionSource, Field(discriminator="type")
]


class IngestionFile(Section):
    """The whole file.

    Attributes:
        sources: what to ingest, by name.
    """

    sources: dict[str, Source] = Field(min_length=1)
