"""Which offsets are published: told from the manifests of the dataset, which are the truth.

Beside them lies each run's plan, written before it reads, and one file that saves reading all manifests every time.
That file may be deleted or stale: it is only believed of manifests that have not changed since.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import MANIFEST
from airflow_provider_mlpipe.artifacts.siblings import published
from airflow_provider_mlpipe.errors import ArtifactCorruptError, redact
from airflow_provider_mlpipe.ingestion.kafka.plan import Plan

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage

__all__ = ["DETAIL", "INDEX", "PLAN", "Ledger"]

logger = logging.getLogger(__name__)

DETAIL = "kafka"
"""The key of the manifest's details that has the plan."""
PLAN = "_offsets.json"
"""The plan of a run, in the folder of its partition."""
INDEX = "_kafka_index.json"
"""What the manifests say, in the folder of the stage."""

_STAMP = "%Y%m%dT%H%M%SZ"


class Ledger:
    """The plans of one dataset.

    Args:
        stage: the folder of its raw partitions.
        own: the asking run's partition.
    """

    def __init__(self, stage: Storage, own: str) -> None:
        self._stage = stage
        self._own = own
        self._place = self._stage.below(own)

    def own(self) -> Plan | None:
        """Return what an earlier try of this run published."""
        content = self._place.read(MANIFEST)
        return None if content is None else _plan_in(content, self._place.uri)

    def stored(self) -> Plan | None:
        """Return the plan that an earlier try of this run wrote down."""
        content = self._place.read(PLAN)
        if content is None:
            return None
        try:
            return Plan.from_dict(json.loads(content))
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError.because(self._place.uri, f"{PLAN} cannot be read ({error})") from error

    def store(self, plan: Plan) -> None:
        """Write the plan down, as a whole."""
        self._place.replace(PLAN, json.dumps(plan.as_dict(), indent=2).encode())

    def others(self) -> dict[str, Plan]:
        """Return what the other runs published, by partition."""
        known = self._index()
        found: dict[str, tuple[list[int], dict[str, Any] | None]] = {}
        for name, seen in published(self._stage).items():
            stamp, old = list(seen), known.get(name)
            if old is not None and old[0] == stamp:
                found[name] = (stamp, old[1])
                continue
            content = self._stage.below(name).read(MANIFEST)
            if content is None:  # removed meanwhile
                continue
            plan = _plan_in(content, self._stage.below(name).uri)
            found[name] = (stamp, None if plan is None else plan.as_dict())
        if found != known:
            self._stage.replace(INDEX, json.dumps(found).encode())
        return {
            name: Plan.from_dict(plan) for name, (_, plan) in found.items() if plan is not None and name != self._own
        }

    def beside(self, start: datetime, end: datetime) -> tuple[Plan | None, Plan | None]:
        """Return what was published for the interval that ends at `start`, and for the one that begins at `end`."""
        before = after = None
        mapped = self._own.split("-")[2:]
        for name, plan in self.others().items():
            bounds = name.split("-")
            if bounds[2:] != mapped:
                continue
            if bounds[1:2] == [start.strftime(_STAMP)]:
                before = plan
            elif bounds[0] == end.strftime(_STAMP):
                after = plan
        return before, after

    def _index(self) -> dict[str, tuple[list[int], dict[str, Any] | None]]:
        try:
            content = json.loads(self._stage.read(INDEX) or b"{}")
            return {name: (list(stamp), plan) for name, (stamp, plan) in content.items()}
        except (ValueError, TypeError, AttributeError):
            logger.warning("%s in %s cannot be read; it is written anew", INDEX, redact(self._stage.uri))
            return {}


def _plan_in(content: bytes, uri: str) -> Plan | None:
    """Return the plan in a manifest; None if another kind of source wrote it."""
    try:
        detail = json.loads(content)["details"].get(DETAIL)
        return None if detail is None else Plan.from_dict(detail["plan"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactCorruptError.because(uri, f"its manifest's offsets cannot be read ({error})") from error
