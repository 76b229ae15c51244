"""Killing the reading of a topic at any moment: after the next try no message is lost, and none is there twice.

The child reads in runs that follow one another; messages come while it does. Whatever is killed is tried again, as
Airflow would, and after that every message of the topic stands in exactly one artifact.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactNotFoundError
from tests.ingestion.kafka_support import topic, values
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage
    from tests.broker import KafkaBroker

__all__ = ["topic"]

MESSAGES = 2_000
"""Per run."""

CHILD = """
import sys
from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.ingestion.kafka.client import KafkaClient
from tests.ingestion.kafka_support import run, source
from tests.ingestion.support import read

class Broker:
    address = sys.argv[1]

commit = KafkaClient.commit
def slow_commit(self, offsets):
    print("commit", flush=True)
    commit(self, offsets)
    print("committed", flush=True)

KafkaClient.commit = slow_commit
mapping = source(Broker, sys.argv[2], group_id="g-" + sys.argv[2], batch_size=200, types={"id": "int"},
                 value_format=sys.argv[5])
if sys.argv[5] == "raw":
    del mapping["types"]
print("begin", flush=True)
read(mapping, Storage(sys.argv[3]), run(sys.argv[4]), progress=lambda rows: print(rows, flush=True))
print("end", flush=True)
"""


def child(kafka: KafkaBroker, topic: str, root: Storage, name: str, kind: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, kafka.address, topic, root.uri, name, kind],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def reached(running: subprocess.Popen[str], moment: str, folder: Path) -> Callable[[], bool]:
    """Return a condition: the child has said or done what `moment` names, or has ended."""
    files = {"the plan": "_offsets.json", "a part": "part-*", "the manifest": "_manifest.json"}
    if moment in files:
        return lambda: bool(list(folder.glob(files[moment]))) or running.poll() is not None
    return lambda: running.stdout is not None and running.stdout.readline().strip() in {moment, ""}


def kill_at(running: subprocess.Popen[str], moment: str, folder: Path) -> None:
    until(reached(running, moment, folder), f"the child's progress to {moment}")
    running.kill()
    running.wait()
    assert running.stdout is not None
    running.stdout.close()


def story(kafka: KafkaBroker, topic: str, root: Storage, moments: list[str], kind: str) -> list[int]:
    """Kill one run at each moment, then try it again until it ends; return the offsets that are published."""
    published: list[int] = []
    for number, moment in enumerate(moments):
        kafka.produce(topic, values(*({"id": number * MESSAGES + each} for each in range(MESSAGES))))
        name = f"r{number:02}"
        folder = Path(f"{root.uri}/things/raw/run-{name}")
        kill_at(child(kafka, topic, root, name, kind), moment, folder)
        before = None
        with contextlib.suppress(ArtifactNotFoundError):
            before = Artifact.open(str(folder)).fingerprint
        kafka.produce(topic, values({"id": -number}))  # what comes between the tries is the next run's
        again = child(kafka, topic, root, name, kind)
        output, _ = again.communicate(timeout=120)
        assert output.splitlines()[-1:] == ["end"], f"killed at {moment}: the next try ends well"
        artifact = Artifact.open(str(folder))
        assert before in {None, artifact.fingerprint}, "what was published is published again, unchanged"
        published += artifact.table(["_kafka_offset"])["_kafka_offset"].to_pylist()
        left = {path.name for path in folder.iterdir()}
        assert left == {"_manifest.json", "_offsets.json", *(part.name for part in artifact.manifest.parts)}
    return published


def check(kafka: KafkaBroker, topic: str, published: list[int], runs: int) -> None:
    twice = [offset for offset, times in Counter(published).items() if times > 1]
    assert twice == [], "no message is there twice"
    # The last try's one message came after its run was planned, unless it was killed before it had a plan.
    total = runs * (MESSAGES + 1)
    assert sorted(published) == list(range(len(published)))
    assert len(published) in {total, total - 1}, "none is lost"
    assert kafka.committed(f"g-{topic}", topic)[0] == len(published)


def test_sigkill_while_reading_and_before_the_commit(kafka, topic, root):
    moments = ["600", "commit"]
    check(kafka, topic, story(kafka, topic, root, moments, "raw"), len(moments))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["json", "raw"])
def test_sigkill_at_random_moments(kafka, topic, root, kind):
    choice = random.Random(20260116)
    moments = ["begin", "the plan", "a part", "the manifest", "commit", "committed", "end", str(MESSAGES)]
    moments += [str(choice.randrange(1, MESSAGES // 200) * 200) for _ in range(8)]
    choice.shuffle(moments)
    check(kafka, topic, story(kafka, topic, root, moments, kind), len(moments))
