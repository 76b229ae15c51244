"""Deciding which offsets a run reads, and writing that down before it reads them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config.kafka import StartAtOffsets, StartAtTime
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.kafka.plan import Plan, Span, shortened
from airflow_provider_mlpipe.ingestion.kafka.reading import gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, KafkaSource, Source
    from airflow_provider_mlpipe.ingestion.kafka.client import Broker
    from airflow_provider_mlpipe.ingestion.kafka.ledger import Ledger
    from airflow_provider_mlpipe.ingestion.kafka.plan import Place
    from airflow_provider_mlpipe.run import Run

__all__ = ["Planned", "Planner"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan and what was found when it was made or taken up again.

    Attributes:
        plan: what to read.
        ends: the end of every partition at this moment.
        origin: where the plan comes from: ``new``, ``stored`` by a try that did not publish, or ``published``.
        skipped: by partition, how many offsets retention had deleted, and the configuration says to skip.
    """

    plan: Plan
    ends: Mapping[Place, int]
    origin: str
    skipped: Mapping[Place, int] = field(default_factory=dict)

    @property
    def lag(self) -> int:
        """How many offsets the plan leaves to later runs."""
        return sum(max(self.ends[span.place] - span.end, 0) for span in self.plan.spans)


class Planner:
    """Makes the plan of one run, or takes up the one it has.

    Args:
        source: the configured source, for messages.
        model: its content.
        broker: an open client.
        ledger: what is published, and what was planned.
        run: who reads.
        as_of: the end of the interval, instead of the run's.
        schemas: asks the registry which schemas to read values by; called for a new plan only.
    """

    def __init__(
        self,
        source: Configured[Source],
        model: KafkaSource,
        broker: Broker,
        ledger: Ledger,
        run: Run,
        *,
        as_of: datetime | None = None,
        schemas: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self._source, self._model, self._broker, self._ledger = source, model, broker, ledger
        self._run, self._as_of, self._schemas = run, as_of, schemas
        self._bounds: dict[Place, tuple[int, int]] = {}
        self._skipped: dict[Place, int] = {}

    def planned(self) -> Planned:
        """Return the plan; a new one is stored before this returns.

        Raises:
            ConfigError: the interval is needed and there is none, or a partition that is asked for does not exist.
            Unreadable: messages of the plan are gone, or the topic was made anew, and nothing says to go on.
        """
        places = self._places()
        self._bounds = {place: self._broker.bounds(place) for place in places}
        plan, origin = self._earlier()
        if plan is None:
            plan, origin = self._new(places), "new"
            self._ledger.store(plan)
        for span in plan.spans:
            logger.info("source %s: %s, %s plan", self._source.name, span, origin)
        ends = {place: high for place, (_, high) in self._bounds.items()}
        return Planned(plan=plan, ends=ends, origin=origin, skipped=self._skipped)

    def _places(self) -> list[Place]:
        places = self._broker.partitions(self._model.topic)
        only = self._model.partitions
        if only is None:
            return places
        missing = [(topic, number) for topic in self._model.topic for number in only if (topic, number) not in places]
        if missing:
            raise ConfigError.invalid(
                where=self._source.where("partitions"),
                key="partitions",
                problem=f"there is no {', '.join(f'{topic}/{number}' for topic, number in missing[:5])}",
                hint=f"The topics have: {', '.join(f'{topic}/{number}' for topic, number in places[:20])}.",
            )
        return [place for place in places if place[1] in only]

    # -------------------------------------------------------------- an earlier try's

    def _earlier(self) -> tuple[Plan | None, str]:
        own = self._ledger.own()
        if own is not None and own.serves(self._model.topic, self._model.partitions):
            self._check_all(own, replay=True)
            return own, "published"
        stored = self._ledger.stored()
        if stored is None:
            return None, ""
        if not stored.serves(self._model.topic, self._model.partitions):
            logger.warning(
                "source %s: topics or partitions changed since the last try; planned anew", self._source.name
            )
            return None, ""
        taken = self._taken(stored)
        if taken is not None:
            logger.warning("source %s: %s was published by another run; planned anew", self._source.name, taken)
            return None, ""
        if self._made_anew(stored):
            return None, ""
        self._check_all(stored, replay=False)
        return stored, "stored"

    def _taken(self, plan: Plan) -> Span | None:
        found = (plan.overlap(other) for other in self._ledger.others().values())
        return next((span for span in found if span is not None), None)

    def _made_anew(self, plan: Plan) -> bool:
        """Return whether a stored plan speaks of a topic that is not there any more, and that is said to be fine."""
        lost = [span for span in plan.spans if span.end > self._high(span)]
        for span in lost:
            self._refuse_recreated(span, span.end)
        return bool(lost)

    def _check_all(self, plan: Plan, *, replay: bool) -> None:
        for span in plan.spans:
            low, high = self._bounds.get(span.place, (0, 0))
            if span.size and span.end > high:
                raise Unreadable(
                    f"{span} was published by this run, and the topic now ends at {high:,}: it was deleted and made "
                    "again. What is published stays"
                )
            if span.size and low > span.start:
                if replay:  # never fewer rows in place of those that are published
                    raise Unreadable(
                        f"{span} was published by this run, and offsets before {low:,} are no longer there. What is "
                        "published stays"
                    )
                self._lose(span.place, span.start, min(low, span.end))

    # -------------------------------------------------------------- a new one

    def _new(self, places: list[Place]) -> Plan:
        spans = self._of_interval(places) if self._model.end == "interval" else self._of_news(places)
        if self._model.max_records is not None:
            spans = list(shortened(spans, self._model.max_records))
        only = self._model.partitions
        return Plan(
            spans=tuple(spans), only=None if only is None else tuple(sorted(only)), schemas=dict(self._schemas())
        )

    def _of_news(self, places: list[Place]) -> list[Span]:
        """From where the newest published run ended to what is there now."""
        marks: dict[Place, tuple[int, int]] = {}
        for plan in self._ledger.others().values():
            for span in plan.spans:
                marks[span.place] = max(marks.get(span.place, (0, 0)), span.mark)
        unknown = [place for place in places if place not in marks]
        group = self._model.group_id
        committed = self._broker.committed(group, unknown) if group and unknown else {}
        told = {topic for topic, _ in marks}
        fresh = self._starts([place for place in unknown if place not in committed], told)
        spans = []
        for place in places:
            generation, start = marks.get(place) or (0, committed.get(place, fresh.get(place, 0)))
            spans.append(self._onward(place, start, self._bounds[place][1], generation))
        return spans

    def _starts(self, places: list[Place], told: set[str]) -> dict[Place, int]:
        """Return where the first run begins."""
        start = self._model.start
        # A partition that was added to a topic that is being read holds nothing that was read.
        first = {place: self._bounds[place][0] for place in places}
        added = [place for place in places if place[0] in told and self._model.partitions is None]
        rest = [place for place in places if place not in added]
        if start == "latest":
            return first | {place: self._bounds[place][1] for place in rest}
        if isinstance(start, StartAtTime):
            return first | self._broker.offsets_at(rest, _milliseconds(start.timestamp))
        if isinstance(start, StartAtOffsets):
            return first | {place: start.offsets[place[1]] for place in rest if place[1] in start.offsets}
        return first

    def _of_interval(self, places: list[Place]) -> list[Span]:
        """The messages of the interval; where a neighbour is published, exactly from its end or to its begin."""
        start, end = self._interval()
        before, after = self._ledger.beside(start, end)
        ended = {} if before is None else {span.place: span for span in before.spans}
        began = {} if after is None else {span.place: span for span in after.spans}
        starts = self._broker.offsets_at([place for place in places if place not in ended], _milliseconds(start))
        ends = self._broker.offsets_at([place for place in places if place not in began], _milliseconds(end))
        spans = []
        for place in places:
            known = ended.get(place)
            first = starts[place] if known is None else known.end
            last = ends[place] if place not in began else began[place].start
            # A message with an older timestamp than those before it belongs to whoever reads its offset.
            generation = known.generation if known is not None else began[place].generation if place in began else 0
            spans.append(self._onward(place, first, max(first, last), generation))
        return spans

    def _interval(self) -> tuple[datetime, datetime]:
        interval = self._run.interval
        if interval is None or interval.empty:
            raise ConfigError.invalid(
                where=self._source.where("end"),
                key="end",
                problem="interval needs a data interval that has a length; this run has none",
                hint="Use a timetable with data intervals, or end: latest.",
            )
        return interval.start, self._as_of or interval.end

    def _onward(self, place: Place, start: int, end: int, generation: int) -> Span:
        """Return [start, end), corrected for what the topic has lost meanwhile."""
        low, high = self._bounds[place]
        span = Span(topic=place[0], partition=place[1], start=start, end=max(start, end), generation=generation)
        if start > high:
            self._refuse_recreated(span, start)
            return replace(span, start=low, end=max(high, low), generation=generation + 1)
        if start < low and span.size:
            there = min(low, span.end)
            self._lose(place, start, there)
            return replace(span, start=there)
        return span

    def _refuse_recreated(self, span: Span, start: int) -> None:
        if self._model.on_recreated == "restart":
            logger.warning(
                "source %s: %s/%d ends at %d, before %d where reading had come to: the topic was made anew; it is read "
                "from its oldest message",
                self._source.name, span.topic, span.partition, self._high(span), start,
            )  # fmt: skip
            return
        raise Unreadable(
            f"{span.topic}/{span.partition} ends at {self._high(span):,}, before {start:,} where reading had come to: "
            "the topic was deleted and made again, or has lost messages. Set on_recreated: restart to read it from its "
            "oldest message"
        )

    def _high(self, span: Span) -> int:
        return self._bounds.get(span.place, (0, 0))[1]

    def _lose(self, place: Place, start: int, end: int) -> None:
        if self._model.on_gap == "fail":
            raise gone(place, start, end)
        logger.warning(
            "source %s: %s/%d: offsets [%d, %d) are no longer there; they are skipped",
            self._source.name,
            *place,
            start,
            end,
        )
        self._skipped[place] = end - start


def _milliseconds(moment: Any) -> int:  # noqa: ANN401 - a datetime, perhaps without a zone
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(aware.timestamp() * 1000)
