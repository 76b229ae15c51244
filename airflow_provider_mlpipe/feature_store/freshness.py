"""How old the newest features of a view are, as of a moment.

Three places can be asked, and they say different things:

* ``registry``: Feast's own record. The latest end of a materialised interval that is not after as_of: everything up to
  there went online, and was put online completely. A push leaves no such record. The default.
* ``offline``: the rows themselves. The latest event_timestamp in the offline data that is not after as_of. They are
  written before those online, so this says what training sets can see; it is also the cheapest, for Feast stays out.
* ``online``: what is served. Entities of the newest offline file that is not after as_of are read from the online
  store; the oldest event_timestamp among them counts, so that one entity left behind is seen. An online store holds no
  past: rows newer than as_of are there instead of older ones, and count as fresh.

The clock decides nothing: a run for last Tuesday gets last Tuesday's answer, except, necessarily, of the online store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store.definitions import TIMESTAMP
from airflow_provider_mlpipe.feature_store.offline import OfflineData
from airflow_provider_mlpipe.feature_store.online import open_store
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import translated

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["PLACES", "Freshness", "freshness"]

Place = Literal["registry", "offline", "online"]
PLACES = ("registry", "offline", "online")

SAMPLE = 100
"""Entities whose online rows are looked at."""


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How old the newest features are.

    Attributes:
        view: the feature view.
        place: where was looked.
        as_of: the moment that the question is about.
        newest: the newest event time found; None if there is none.
        note: what else is to be said, why there is none, above all.
    """

    view: str
    place: str
    as_of: datetime
    newest: datetime | None
    note: str = ""

    @property
    def age(self) -> timedelta | None:
        """How old that is as of the moment; 0 if it is newer, None if there is nothing."""
        return None if self.newest is None else max(self.as_of - self.newest, timedelta(0))

    def within(self, max_age: timedelta) -> bool:
        """Whether there is something, and it is not older than `max_age`."""
        return self.age is not None and self.age <= max_age

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "view": self.view,
            "place": self.place,
            "as_of": self.as_of.isoformat(),
            "newest": None if self.newest is None else self.newest.isoformat(),
            "age_seconds": None if self.age is None else self.age.total_seconds(),
            "note": self.note,
        }


def freshness(
    view: str, store: FeatureStore, *, root: Storage, as_of: datetime, place: Place = "registry"
) -> Freshness:
    """Find out how old the newest features of a view are.

    A view that is not there yet has none: whoever waits for it, waits.

    Args:
        view: the feature view.
        store: where Feast is.
        root: the artifact root, below which the offline data are.
        as_of: what came later is not seen, but online.
        place: where to look, see this module's description.

    Raises:
        ConfigError: the settings are wrong, or `place` is none of the three.
        StoreUnavailableError: the registry or the online store does not answer.
    """
    if place not in PLACES:
        raise ConfigError.unknown_name(where="freshness", kind="place", name=place, known=PLACES)
    look = {"registry": _registered, "offline": _offline, "online": _online}[place]
    newest, note = look(view, store, root, as_of)
    return Freshness(view=view, place=place, as_of=as_of, newest=newest, note=note)


def _registered(view: str, store: FeatureStore, root: Storage, as_of: datetime) -> tuple[datetime | None, str]:
    opened, found = _registered_view(view, store, root)
    if found is None:
        known = ", ".join(sorted(other.name for other in opened.list_feature_views())) or "none"
        return None, f"Feast knows no such view yet; it knows: {known}"
    ends = [_utc(end) for _, end in found.materialization_intervals if _utc(end) <= as_of]
    return max(ends, default=None), "" if ends else "no interval up to then was materialized"


def _registered_view(view: str, store: FeatureStore, root: Storage) -> tuple[Any, Any]:
    settings = Settings.of(store, root)
    opened = open_store(store, root)
    with translated(settings.secrets, doing=f"look up {view!r}"):
        views = {found.name: found for found in opened.registry.list_feature_views(opened.project)}
    return opened, views.get(view)


def _offline(view: str, store: FeatureStore, root: Storage, as_of: datetime) -> tuple[datetime | None, str]:
    del store  # the offline data lie below the root, whichever Feast it is
    newest, _ = _newest_file(OfflineData(root, view), as_of)
    return newest, "" if newest else "there are no offline data up to then"


def _online(view: str, store: FeatureStore, root: Storage, as_of: datetime) -> tuple[datetime | None, str]:
    data = OfflineData(root, view)
    newest, file = _newest_file(data, as_of)
    if newest is None:
        return None, "there are no offline data up to then, so nothing says which entities should be online"
    opened, found = _registered_view(view, store, root)
    if found is None:
        return None, "Feast knows no such view yet"
    rows = _keys(data, file, [column.name for column in found.entity_columns])
    feature = found.features[0].name
    with translated(Settings.of(store, root).secrets, doing=f"read {view!r}"):
        answer = opened.get_online_features(features=[f"{view}:{feature}"], entity_rows=rows).to_dict(
            include_event_timestamps=True
        )
    times = answer[f"{feature}__ts"]
    absent = sum(not time for time in times)
    if absent:
        return None, f"{absent} of {len(rows)} entities looked at are not online"
    return datetime.fromtimestamp(min(times), UTC), f"the oldest of {len(rows)} entities looked at"


def _newest_file(data: OfflineData, as_of: datetime) -> tuple[datetime | None, str]:
    """Return the newest event time up to `as_of` and the file that holds it."""
    found: tuple[datetime | None, str] = (None, "")
    for name in data.files():
        time = _newest_time(data, name, as_of)
        if time is not None and (found[0] is None or time > found[0]):
            found = (time, name)
    return found


def _newest_time(data: OfflineData, name: str, as_of: datetime) -> datetime | None:
    """Return a file's newest event time up to `as_of`: by the footer, unless `as_of` is within a row group."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    newest: list[datetime] = []
    with data.place.filesystem.open_input_file(data.place.path(name)) as stream:
        file = pq.ParquetFile(stream)
        column = file.schema_arrow.get_field_index(TIMESTAMP)
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group).column(column).statistics
            if facts is not None and facts.has_min_max:
                if _utc(facts.min) > as_of:
                    continue
                if _utc(facts.max) <= as_of:
                    newest.append(_utc(facts.max))
                    continue
            times = file.read_row_group(group, columns=[TIMESTAMP])[TIMESTAMP]
            latest = pc.max(times.filter(pc.less_equal(times, as_of))).as_py()
            if latest is not None:
                newest.append(_utc(latest))
    return max(newest, default=None)


def _keys(data: OfflineData, file: str, names: list[str]) -> list[dict[str, Any]]:
    """Return the keys of some entities of a file, spread over it, the same ones every time."""
    import pyarrow.parquet as pq

    table = pq.read_table(data.place.path(file), filesystem=data.place.filesystem, columns=names)
    step = max(table.num_rows // SAMPLE, 1)
    rows: list[dict[str, Any]] = table.take(list(range(0, table.num_rows, step))[:SAMPLE]).to_pylist()
    return rows


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
