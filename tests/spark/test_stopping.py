"""Spark stopped by a signal: the jobs of a Spark that stays are cancelled, one of our own goes; nothing half is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_mlpipe.engines import SparkEngine, SparkSettings
from airflow_provider_mlpipe.engines.interruption import signals_interrupt
from tests.operators.home import REPOSITORY
from tests.servers import until
from tests.spark.conftest import absent

ENDLESS = "SELECT count(*) FROM range(3000000) a CROSS JOIN range(3000000) b WHERE hash(a.id, b.id) = hash(b.id)"


class Stop(BaseException):
    """What a handler of a signal raises."""


def test_a_spark_that_stays_is_rid_of_our_jobs_alone(spark, on_spark, tmp_path):
    """The session of a notebook: what others compute there goes on."""

    def handle(*_):
        raise Stop

    def jobs():
        return set(spark.sparkContext.statusTracker().getActiveJobsIds())

    def send():
        until(lambda: len(jobs()) == 2, "both are computed")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with ThreadPoolExecutor(2) as pool:
            others = pool.submit(_others, spark)
            until(lambda: len(jobs()) == 1, "the other job is computed")
            theirs = jobs()
            sent = pool.submit(send)
            settings = SparkSettings(scratch=str(tmp_path), temp_directory=str(tmp_path))
            with pytest.raises(Stop), signals_interrupt({signal.SIGUSR1}), SparkEngine.open(settings) as engine:
                engine.batches(ENDLESS)
            sent.result()
            until(lambda: jobs() <= theirs, "our job is gone")
            assert jobs() == theirs
            spark.sparkContext.cancelAllJobs()
            assert others.exception() is not None
    finally:
        signal.signal(signal.SIGUSR1, before)
        spark.sparkContext.cancelAllJobs()
    assert spark.sql("SELECT 1").count() == 1
    assert list(tmp_path.iterdir()) == []


def _others(spark):
    return spark.sql(ENDLESS).collect()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM], ids=["kill", "timeout"])
def test_a_spark_of_our_own_ends_with_its_work(number, tmp_path):
    if reason := absent():
        pytest.skip(reason)
    folders = {name: tmp_path / name for name in ("root", "scratch", "tmp")}
    for folder in folders.values():
        folder.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("stopping_driver.py")), str(folders["root"])]
    with subprocess.Popen(
        [*command, str(folders["scratch"])], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(folders["tmp"]), "PYTHONPATH": str(REPOSITORY)},
    ) as process:  # fmt: skip
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        try:
            word, pid = process.stdout.readline().split()
            process.send_signal(number)
            assert (word, process.stdout.read()) == ("working", "stopped\n")
            assert process.wait() == 0
        finally:
            watchdog.cancel()
            process.kill()
    until(lambda: not Path("/proc", pid).exists(), "its JVM is gone", 60)
    assert list(folders["scratch"].iterdir()) == []
    assert [path.name for path in folders["tmp"].iterdir() if path.name.startswith("mlpipe")] == []
    left = {path.relative_to(folders["root"]).parts[0] for path in folders["root"].rglob("*") if path.is_file()}
    assert left == {"users", "activity"}
