"""A process whose Spark computes for ever, for `test_stopping`: it says when it does, and how it was stopped.

Usage: ``python stopping_driver.py ROOT SCRATCH``. SIGTERM and SIGALRM raise `Stop`, as Airflow's handlers do.
"""

from __future__ import annotations

import signal
import sys
import threading

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.engines import SparkSettings
from airflow_provider_mlpipe.engines.interruption import signals_interrupt
from airflow_provider_mlpipe.feature_extraction import feature
from tests.feature_extraction.material import AS_OF, activity, done, extracted, users

SIGNALS = {signal.SIGTERM, signal.SIGALRM}


class Stop(BaseException):
    """What Airflow raises is not for everybody to catch, either."""


@feature(entity="user_id", inputs={"activity": ["hours"]}, window="30d")
def endless(tables, context):
    """Compare everybody with everybody, and these pairs with all such pairs."""
    one = tables["activity"]
    pairs = one.cross_join(one.view().select(second="hours"))
    fours = pairs.cross_join(pairs.view().select(third="hours", fourth="second"))
    far = fours.filter((fours.hours * 3 + fours.second * 5 + fours.third * 7 + fours.fourth) % 1_000_003 == 17)
    return far.group_by(context.entity).aggregate(endless=far.count())


def tell() -> None:
    """Write Spark's process once it has work, and that it has."""
    from pyspark import SparkContext

    pause = threading.Event()
    while True:
        context = SparkContext._active_spark_context
        # It is there before it is complete.
        if getattr(context, "_jsc", None) is not None and context.statusTracker().getActiveJobsIds():
            break
        pause.wait(0.1)
    print(f"working {context._gateway.proc.pid}", flush=True)


def main(root: str, scratch: str) -> None:
    def handle(*_: object) -> None:
        raise Stop

    for number in SIGNALS:
        signal.signal(number, handle)
    threading.Thread(target=tell, daemon=True).start()
    people = [f"u{number}" for number in range(3000)]
    try:
        with signals_interrupt(SIGNALS):
            extracted(
                Storage(root), users(*people), activity(*(done(name, AS_OF - AS_OF.resolution) for name in people)),
                engine=SparkSettings(master="local[2]", scratch=scratch), custom=["__main__:endless"],
            )  # fmt: skip
    except Stop:
        print("stopped", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
