"""Finding the Spark that runs in this process, or starting one."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.interruption import interruptible
from airflow_provider_mlpipe.engines.refusals import refusal
from airflow_provider_mlpipe.errors import ConfigError, EngineUnavailableError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.engines.spark.settings import SparkSettings

__all__ = ["is_local", "jobs_end", "spark_session"]

_log = logging.getLogger(__name__)

_OURS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Names as they are written, like everywhere in Arrow and parquet.
    "spark.sql.caseSensitive": "true",
    # Spark knows no nanoseconds: they come as whole numbers, and `columns` makes microseconds of them.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Its default for results is a 96-bit form that others read as nanoseconds.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}
"""What holds for our queries, in a session of our own, so that nobody else's change their meaning."""

_ON_ONE_MACHINE = {
    # Nothing listens on the network.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # 200 partitions, the default, are a cluster's measure.
    "spark.sql.shuffle.partitions": "8",
}


@contextmanager
def spark_session(settings: SparkSettings, folder: str) -> Iterator[Any]:
    """Yield a session with our way of reading and computing, on the running Spark if there is one.

    Args:
        settings: which Spark.
        folder: a temporary folder for what Spark wants to leave somewhere.

    Raises:
        ConfigError: there is no pyspark, or no Java.
        EngineUnavailableError: Spark did not start, or its master did not answer.
    """
    running = _running()
    started = None
    if running is None:
        running = started = _start(settings, folder)
    else:
        _log.info("using the Spark that this process runs, at %s", redact(running.sparkContext.master))
    try:
        session = running.newSession()
        for name, value in _OURS.items():
            session.conf.set(name, value)
        yield session
    finally:
        if started is not None:
            started.stop()


@contextmanager
def jobs_end(context: Any) -> Iterator[None]:  # noqa: ANN401 - pyspark is imported late
    """Have the jobs that are started in the block, and no others, cancelled if a signal comes."""
    tag = f"mlpipe-{uuid.uuid4().hex}"
    busy = threading.Lock()

    def cancel() -> None:
        with suppress(Exception), busy:  # it may be over, and its Spark gone
            context.cancelJobsWithTag(tag)

    def cancel_soon() -> None:  # who calls it must not wait for a JVM that is busy
        if not busy.locked():
            threading.Thread(target=cancel, daemon=True).start()

    context.addJobTag(tag)
    try:
        with interruptible(cancel_soon):
            yield
    finally:
        with suppress(Exception):
            context.removeJobTag(tag)


def is_local(session: Any) -> bool:  # noqa: ANN401 - pyspark is imported late
    """Return whether all of Spark is this process, so that it sees what this process sees."""
    master: str = session.sparkContext.master
    return master == "local" or master.startswith("local[")


def _running() -> Any:  # noqa: ANN401
    """Return the session of this process, None if there is none."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError(
            f"engine: spark needs pyspark, which is not installed: {error}",
            hint="pip install 'airflow-provider-mlpipe[spark]', or use engine: duckdb.",
        ) from error
    try:
        session = SparkSession.active()
    except PySparkException:
        return None
    if "connect" in type(session).__module__:
        raise ConfigError(
            "engine: spark cannot use the Spark Connect session of this process.",
            hint="Run the job where Spark's driver is: spark-submit, or a cluster in its classic mode.",
        )
    return session


def _start(settings: SparkSettings, folder: str) -> Any:  # noqa: ANN401
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not submitted:
        _require_java()
    from pyspark import SparkContext
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    conf = _configuration(settings, folder, submitted=submitted)
    builder = SparkSession.builder.appName(settings.app_name)
    for name, value in conf.items():
        builder = builder.config(name, value)
    _log.info("starting Spark at %s", redact(conf.get("spark.master", "the master that spark-submit names")))
    try:
        with _our_interrupts():
            session = builder.getOrCreate()
    except Exception as error:
        found = refusal(error)
        if found is None:
            raise
        if SparkContext._active_spark_context is not None:  # noqa: SLF001 - a context without a session has no other name
            SparkContext._active_spark_context.stop()  # noqa: SLF001
        raise EngineUnavailableError.unreachable(
            engine="spark", location=conf.get("spark.master", ""), problem=found.problem
        ) from error
    # It prints as JSON, trace and all, what is raised anyway.
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True
    if "spark.log.level" not in conf:
        session.sparkContext.setLogLevel("ERROR")
    return session


@contextmanager
def _our_interrupts() -> Iterator[None]:
    """Keep the handler of Ctrl-C, in whose place Spark puts its own when it starts."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _configuration(settings: SparkSettings, folder: str, *, submitted: bool) -> dict[str, str]:
    """Return the settings of a Spark that is ours to start; the user's own come last."""
    conf = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
    }
    master = settings.master or settings.conf.get("spark.master", "") or ("" if submitted else "local[*]")
    if master:
        conf["spark.master"] = master
    if master.startswith("local"):
        conf |= {**_ON_ONE_MACHINE, "spark.local.dir": folder}
    return {**conf, "spark.driver.memory": settings.memory, **settings.conf}


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = (Path(home) / "bin" / "java").is_file() if home else shutil.which("java") is not None
    if not found:
        raise ConfigError(
            f"engine: spark needs Java 17 or 21: there is none {f'in JAVA_HOME={home}' if home else 'on the PATH'}.",
            hint="Install a JRE (Debian: default-jre-headless) or set JAVA_HOME, or use engine: duckdb.",
        )
