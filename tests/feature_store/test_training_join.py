"""The point-in-time join against a join that anybody can read: for each label, look at every feature row there is.

No Feast here: what Feast's registry would say is written down as `Chosen`. `test_training_set` holds the whole way,
and Feast's own answer, against the same.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.artifacts import Artifact, S3Options, Storage
from airflow_provider_mlpipe.engines import DuckDBSettings
from airflow_provider_mlpipe.errors import FeatureError, SourceUnavailableError, StoreUnavailableError
from airflow_provider_mlpipe.feature_store.training import PROOF, join
from airflow_provider_mlpipe.feature_store.training.assembly import Wanted, assemble
from airflow_provider_mlpipe.feature_store.training.history import History
from airflow_provider_mlpipe.feature_store.training.labels import open_labels
from airflow_provider_mlpipe.feature_store.training.selection import Chosen, Feature
from airflow_provider_mlpipe.run import Run
from tests.servers import free_ports

START = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("us", "UTC")
US = timedelta(microseconds=1)


@dataclass
class View:
    """A view as the tests make it: rows are key(s), time, creation time, number, text; one list per file."""

    name: str
    keys: tuple[str, ...]
    ttl: timedelta | None
    files: list[list[dict[str, Any]]] = field(default_factory=list)

    def schema(self) -> pa.Schema:
        keys = [(key, pa.string()) for key in self.keys]
        return pa.schema([*keys, ("at", STAMP), ("written", STAMP), ("number", pa.int64()), ("text", pa.string())])

    def write(self, folder: Path) -> Chosen:
        (folder / self.name).mkdir(parents=True)
        for position, rows in enumerate(self.files):
            table = pa.Table.from_pylist(rows, schema=self.schema())
            pq.write_table(table, folder / self.name / f"{position}.parquet", row_group_size=3)
        return Chosen(
            view=self.name,
            keys={key: key for key in self.keys},
            types=dict.fromkeys(self.keys, "STRING"),
            features=tuple(Feature(name=f"{self.name}__{name}", column=name) for name in ("number", "text")),
            ttl=self.ttl,
            timestamp="at",
            created="written",
            path=f"{folder / self.name}/*.parquet",
        )

    def answer(self, label: dict[str, Any], as_of: datetime | None) -> dict[str, Any]:
        """What the label should get, by looking at everything."""
        best: dict[str, Any] | None = None
        for row in (row for rows in self.files for row in rows):
            same = all(label[key] is not None and row[key] == label[key] for key in self.keys)
            if not same or label["time"] is None or row["at"] is None or row["at"] > label["time"]:
                continue
            if self.ttl is not None and label["time"] - row["at"] > self.ttl:
                continue
            if as_of is not None and row["at"] > as_of:
                continue
            if best is None or rank(row) > rank(best):
                best = row
        return {f"{self.name}__{name}": best and best[name] for name in ("number", "text")}


def rank(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what decides between rows: later, then written later, then greater; a null before any value."""
    values = (row["written"], row["number"], row["text"])
    return (
        row["at"],
        *(((value is not None), value or type(value)()) if value is not None else (False,) for value in values),
    )


def build(folder: Path, labels: list[dict[str, Any]], views: list[View], **more: Any) -> Artifact:
    """Write everything down and make the training set."""
    schema = pa.schema([("row", pa.int64()), ("user", pa.string()), ("team", pa.string()), ("time", STAMP)])
    numbered = [{"row": number, **label} for number, label in enumerate(labels)]
    pq.write_table(pa.Table.from_pylist(numbered, schema=schema), folder / "labels.parquet")
    engine = more.pop("engine", None)
    chosen = [view.write(folder / "offline") for view in views]
    wanted = Wanted(dataset="set", time="time", chosen=chosen, **more)
    return assemble(str(folder / "labels.parquet"), wanted, root=Storage(str(folder / "out")), run=Run(), engine=engine)


# A grid of few times, keys and values: ties, equal times and edges of the TTL are the rule here.
moments = st.integers(0, 8).map(lambda step: START + step * timedelta(hours=1))
fine = st.builds(lambda moment, off: moment + off * US, moments, st.sampled_from([0, 0, 0, -1, 1]))
users = st.sampled_from(["ann", "bob", "", "ü"])
teams = st.sampled_from(["x", "y"])


def rows_of(*, team: bool) -> st.SearchStrategy[list[list[dict[str, Any]]]]:
    row = st.fixed_dictionaries(
        {
            "user": st.none() | users,
            "at": st.one_of(fine, fine, fine, st.none()),
            "written": st.none() | moments,
            "number": st.none() | st.integers(-2, 2),
            "text": st.none() | st.sampled_from(["", "a", "b"]),
        }
        | ({"team": st.none() | teams} if team else {})
    )
    return st.lists(st.lists(row, max_size=10), min_size=1, max_size=3)


def views_of() -> st.SearchStrategy[list[View]]:
    ttls = (
        st.none()
        | st.integers(0, 4).map(lambda hours: timedelta(hours=hours, microseconds=1))
        | st.just(timedelta(hours=2))
    )
    one = st.builds(lambda ttl, files: View("one", ("user",), ttl, files), ttls, rows_of(team=False))
    two = st.builds(lambda ttl, files: View("two", ("user", "team"), ttl, files), ttls, rows_of(team=True))
    return st.one_of(st.tuples(one), st.tuples(two), st.tuples(one, two)).map(list)


label_rows = st.lists(
    st.fixed_dictionaries({"user": st.none() | users, "team": st.none() | teams, "time": st.none() | fine}), max_size=14
)


@settings(max_examples=60, deadline=None)
@given(labels=label_rows, views=views_of(), as_of=st.none() | moments)
def test_every_label_gets_what_looking_at_every_row_finds(
    labels: list[dict[str, Any]], views: list[View], as_of: datetime | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder), labels, views, as_of=as_of)
        rows = made.table().to_pylist()
        proof = json.loads(made.read_beside(PROOF) or b"")

    expected = [
        {"row": number, **label} | {k: v for view in views for k, v in view.answer(label, as_of).items()}
        for number, label in enumerate(labels)
    ]
    assert rows == expected
    assert (proof["rows_in"], proof["rows_out"]) == (len(labels), len(labels))
    for said in proof["views"]:
        assert said["violations"] == 0
        assert (said["max_feature_minus_label_seconds"] or 0) <= 0
        assert said["rows_with_match"] + said["rows_without_match"] == len(labels)


def feature(
    user: str, hours: float, number: int | None, *, written: float | None = 0, text: str | None = None
) -> dict[str, Any]:
    at = START + timedelta(hours=hours)
    return {"user": user, "at": at, "written": None if written is None else START + timedelta(hours=written), "number": number, "text": text}  # fmt: skip


def label(user: str | None, hours: float) -> dict[str, Any]:
    return {"user": user, "team": None, "time": START + timedelta(hours=hours)}


def numbers(made: Artifact) -> list[int | None]:
    return made.table()["one__number"].to_pylist()


def test_the_edges_of_time_and_ttl_are_included(tmp_path: Path) -> None:
    view = View("one", ("user",), timedelta(hours=2), [[feature("ann", 5, 1)]])
    us = 1 / 3_600_000_000
    made = build(tmp_path, [label("ann", hours) for hours in (5 - us, 5, 7, 7 + us)], [view])
    assert numbers(made) == [None, 1, 1, None]


def test_a_newer_row_that_is_null_hides_an_older_value(tmp_path: Path) -> None:
    """Null is what was known then; to go back to the value before would be made up."""
    view = View("one", ("user",), None, [[feature("ann", 1, 7), feature("ann", 2, None)]])
    assert numbers(build(tmp_path, [label("ann", 3)], [view])) == [None]


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_rows_the_one_written_last_counts_whatever_the_order_of_files(tmp_path: Path, order: int) -> None:
    rows = [feature("ann", 1, 1, written=3), feature("ann", 1, 2, written=None), feature("ann", 1, 3, written=4)]
    tied = [feature("bob", 1, 5, written=1, text="b"), feature("bob", 1, 5, written=1, text="a"), feature("bob", 1, 4, written=1, text="c")]  # fmt: skip
    view = View("one", ("user",), None, [[row] for row in [*rows, *tied][::order]])
    made = build(tmp_path, [label("ann", 1), label("bob", 1)], [view])
    assert numbers(made) == [3, 5]
    assert made.table()["one__text"].to_pylist() == [None, "b"]


def test_the_same_content_gives_the_same_fingerprint_and_place(tmp_path: Path) -> None:
    view = View("one", ("user",), None, [[feature("ann", hour % 5, hour % 3) for hour in range(40)]])
    labels = [label("ann", hour / 2) for hour in range(20)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = build(tmp_path / "a", labels, [view], engine=DuckDBSettings(threads=1))
    again = build(tmp_path / "b", labels, [view], engine=DuckDBSettings(threads=4))
    assert one.fingerprint == again.fingerprint
    assert one.table().equals(again.table())


def test_files_that_cannot_matter_are_neither_read_nor_recorded(tmp_path: Path) -> None:
    files = [[feature("ann", hour, hour)] for hour in (1, 10, 20, 30)]
    made = build(tmp_path, [label("ann", 12), label("ann", 21)], [View("one", ("user",), timedelta(hours=5), files)])
    assert [item.name for item in made.manifest.inputs] == ["labels", "one/1.parquet", "one/2.parquet"]
    assert numbers(made) == [10, 20]


def test_a_column_that_only_other_days_have_is_null(tmp_path: Path) -> None:
    view = View("one", ("user",), None, [[feature("ann", 1, 1)], [feature("ann", 30, 2)]])
    chosen = view.write(tmp_path / "offline")
    old = tmp_path / "offline/one/0.parquet"
    pq.write_table(pq.read_table(old).drop_columns(["number", "written"]), old)
    pq.write_table(
        pa.table({"user": ["ann"], "time": pa.array([START + timedelta(hours=2)], STAMP)}), tmp_path / "l.parquet"
    )
    wanted = Wanted(dataset="set", time="time", chosen=[chosen])
    made = assemble(str(tmp_path / "l.parquet"), wanted, root=Storage(str(tmp_path / "out")), run=Run(), engine=None)
    assert numbers(made) == [None]
    assert made.schema.field("one__number").type == pa.int64()


def test_little_memory_is_enough_for_many_rows(tmp_path: Path) -> None:
    """200k labels against 600k rows of 13 columns, 300 MB of values, with 150 MB for the engine."""
    import duckdb

    (tmp_path / "one").mkdir()
    wide = ", ".join(f"repeat(md5((i * {n})::VARCHAR), 4) AS w{n}" for n in range(3)) + ", " + ", ".join(f"random() AS d{n}" for n in range(9))  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT 'u' || (i % 50000) AS \"user\", make_timestamptz(1767225600000000 + (i // 50000) * 3600000000) AS at, "
            f"NULL::TIMESTAMPTZ AS written, i AS number, {wide} FROM range(600000) t(i)) TO '{tmp_path}/one/0.parquet' (FORMAT parquet, ROW_GROUP_SIZE 20480)"
        )
        connection.execute(
            f"COPY (SELECT 'u' || (i % 60000) AS \"user\", make_timestamptz(1767225600000000 + (i % 11) * 3600000000 + 1) AS time "
            f"FROM range(200000) t(i)) TO '{tmp_path}/labels.parquet'"
        )
    names = ["number", *(f"w{n}" for n in range(3)), *(f"d{n}" for n in range(9))]
    chosen = Chosen(view="one", keys={"user": "user"}, types={"user": "STRING"}, features=tuple(Feature(name=n, column=n) for n in names), ttl=None, timestamp="at", created="written", path=str(tmp_path / "one"))  # fmt: skip
    wanted = Wanted(dataset="set", time="time", chosen=[chosen])
    engine = DuckDBSettings(memory_limit="150MB", threads=2)
    made = assemble(
        str(tmp_path / "labels.parquet"), wanted, root=Storage(str(tmp_path / "out")), run=Run(), engine=engine
    )
    table = made.table(["user", "time", "number"])
    assert made.manifest.rows == 200_000
    for row, place in ((table.slice(at, 1).to_pylist()[0], at) for at in (0, 99_999, 199_999)):
        user, hour = place % 60_000, place % 11
        assert row["user"] == f"u{user}"
        assert row["number"] == (hour * 50_000 + user if user < 50_000 else None)


def test_a_join_that_lets_the_future_in_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof counts on the result: break the join, and it must say so."""
    view = View("one", ("user",), None, [[feature("ann", 1, 1), feature("ann", 5, 5)]])
    match = join.Join._collect

    def broken(self: Any, number: int, chosen: Chosen) -> None:
        self._engine.connection.execute(f"UPDATE hit{number} SET t = t + INTERVAL 3 HOURS")
        match(self, number, chosen)

    monkeypatch.setattr(join.Join, "_collect", broken)
    with pytest.raises(FeatureError, match="1 of 1 matches of 'one' are from after the label"):
        build(tmp_path, [label("ann", 2)], [view])
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*_manifest.json"))


def test_a_join_that_loses_or_makes_rows_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View("one", ("user",), None, [[feature("ann", 1, 1)]])
    rows = join.Join.rows
    for name, broken, said in (
        ("lost", lambda found: found[:0], "0 rows of 'one' came out of 1 matches"),
        ("made", lambda found: found * 2, "more than one row of a view"),
    ):
        monkeypatch.setattr(join.Join, "rows", lambda *given, broken=broken: iter(broken(list(rows(*given)))))
        (tmp_path / name).mkdir()
        with pytest.raises(FeatureError, match=said):
            build(tmp_path / name, [label("ann", 2), label("bob", 3)], [view])
        assert not list((tmp_path / name).rglob("*_manifest.json"))


def test_a_bucket_that_does_not_answer_is_worth_another_try(tmp_path: Path) -> None:
    away = S3Options(endpoint_url=f"http://127.0.0.1:{free_ports()[0]}", access_key="ann", secret_key="s3cr3t")
    chosen = replace(View("one", ("user",), None, [[]]).write(tmp_path), path="s3://lake/offline/one/*.parquet")
    with pytest.raises(StoreUnavailableError, match="offline data of 'one' at s3://lake/offline/one cannot be read"):
        History(chosen, away)
    with (
        pytest.raises(SourceUnavailableError, match="'labels' at s3://lake/labels.csv is not available"),
        open_labels("s3://lake/labels.csv", away, tmp_path, {}),
    ):
        pass
