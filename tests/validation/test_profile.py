"""Profiles and proposals: what is counted is exact, what is proposed holds on the data that it was made from."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, Run
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.proposal import proposed, scalar
from airflow_provider_mlpipe.validation.stored_profile import as_text, document, write_once
from airflow_provider_mlpipe.validation.survey import survey

AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)


def published(root: Storage, table: pa.Table, dataset: str = "data"):
    interval = Interval(start=AS_OF - timedelta(days=1), end=AS_OF)
    with ArtifactWriter(
        root, Description(dataset=dataset, stage="raw", run=Run(interval=interval)), table.schema
    ) as out:
        out.write_all(table.to_batches())
        return out.publish()


@pytest.fixture
def look(root):
    """Survey a table as if a daily run had ingested it."""
    return lambda table, **options: survey(published(root, pa.table(table)), **options)


def orders(rows: int = 2000) -> dict:
    random = np.random.default_rng(3)
    return {
        "order_id": list(range(rows)),
        "customer": [f"c{number}" for number in random.integers(0, 700, rows)],
        "status": random.choice(["paid", "open", "no"], rows, p=[0.7, 0.2, 0.1]).tolist(),
        "amount": np.round(random.lognormal(3, 1, rows), 2).tolist(),
        "coupon": [None if number % 10 == 0 else "X" for number in range(rows)],
        "placed_at": [AS_OF - timedelta(minutes=7 * number + 30) for number in range(rows)],
    }


# ------------------------------------------------------------------ what is counted


def test_bins_hold_about_equal_counts_and_the_counts_are_numpys(look):
    values = np.random.default_rng(5).normal(10, 3, 20_000)
    found = look({"x": [*values.tolist(), None, math.nan, math.inf, -math.inf]}).distributions["x"]
    inner = [-np.inf, *found["bins"][1:-1], np.inf]
    assert found["weights"] == np.histogram([*values, np.inf, -np.inf], inner)[0].tolist()
    assert sum(found["weights"]) == 20_002
    assert len(found["weights"]) == 20
    assert max(found["weights"]) < 1.1 * min(found["weights"])
    assert found["bins"][0] == pytest.approx(values.min())
    assert found["bins"][-1] == pytest.approx(values.max())


@pytest.mark.parametrize(
    "values",
    [
        [0.0] * 960 + [float(number) for number in range(1, 41)],
        [0, 1] * 500,
        [7] * 999 + [8],
        [5] * 100,
        [Decimal("1.25")] * 50 + [Decimal("2.50")] * 50,
        [-(2**62), 0, 2**62] * 40,
    ],
)
def test_a_value_that_fills_bins_by_itself_has_its_own(look, values):
    found = look({"x": values}).distributions["x"]
    assert sum(found["weights"]) == len(values)
    if "bins" in found:
        assert all(left < right for left, right in zip(found["bins"], found["bins"][1:], strict=False))
        commonest = max(values.count(value) for value in set(values))
        assert commonest in found["weights"], found
    else:
        assert found == {"values": [5], "weights": [100]}


def test_values_are_listed_if_they_repeat_and_the_rest_is_counted(look):
    few, many = ["a"] * 90 + ["b"] * 10, [f"v{number % 60}" if number % 10 == 0 else "usual" for number in range(1000)]
    assert look({"c": few}).distributions["c"] == {"values": ["a", "b"], "weights": [90, 10]}
    listed = look({"c": many}).distributions["c"]
    assert (listed["values"][0], listed["weights"][0]) == ("usual", 900)
    assert sum(listed["weights"]) == 1000
    ids = look({"c": [f"id-{number}" for number in range(1000)], "d": ["x" * 500, "y" * 400] * 500})
    assert ids.distributions == {}


def test_keys_are_proven_not_guessed(look):
    rows = orders()
    assert look(rows).keys == (("order_id",),)
    rows["order_id"][5] = rows["order_id"][6]
    assert ("order_id",) not in look(rows).keys
    pairs = {"day": [number // 10 for number in range(400)], "slot": [number % 10 for number in range(400)]}
    assert look({**pairs, "x": ["a"] * 400}).keys == (("day", "slot"),)
    pairs["slot"][9] = pairs["slot"][8]
    assert look({**pairs, "x": ["a"] * 400}).keys == ()
    assert look({"tiny": [1, 2, 3]}).keys == ()


def test_cadence_tells_the_usual_gap_and_leaves_out_what_lies_after_as_of(look):
    rows = orders()
    rows["placed_at"][0] = AS_OF + timedelta(hours=5)
    seen = look(rows).cadence
    assert (seen.column, seen.later) == ("placed_at", 1)
    assert seen.usual_hours == pytest.approx(7 / 60)
    assert seen.age_hours == pytest.approx(-5)
    assert look({"x": [1]}).cadence is None


def test_a_sensitive_column_tells_no_value(look):
    secret = "hush@example.org"
    found = look({"mail": [secret] * 50 + ["b"] * 50, "n": [1, 2] * 50}, sensitive=["mail", "n"])
    text = as_text(document(found)) + proposed(found, reference="p.json")
    assert secret not in text
    columns = document(found)["columns"]
    assert columns["mail"] == {"type": "string", "nulls": 0, "distinct": 2, "sensitive": True}
    assert "bins" not in columns["n"]
    assert "low" not in columns["n"]


# ------------------------------------------------------------------ files


def test_a_profile_never_changes_once_it_is_written(look, tmp_path):
    found = document(look(orders()))
    text = as_text(found)
    assert json.loads(text) == found
    assert (found["format"], found["format_version"], found["rows"]) == ("mlpipe.profile", 1, 2000)
    path = tmp_path / "profiles" / "orders.json"
    write_once(path, text, what="--reference-out")
    write_once(path, text, what="--reference-out")
    with pytest.raises(ConfigError, match="the file exists and says something else") as caught:
        write_once(path, text + " ", what="--reference-out")
    assert "Choose another name" in caught.value.hint
    assert path.read_text() == text


def test_the_proposal_reads_as_a_person_would_write_it(look):
    text = proposed(look(orders()), reference="profiles/orders.json")
    for line in (
        "data:",
        "    order_id: int",
        "    - order_id                                           # 0 of 2,000 null",
        "    - {column: coupon, mostly: 0.85, severity: WARNING}  # 200 of 2,000 null (10 %)",
        "    - order_id  # 2,000 different in 2,000 rows",
        '    status: {values: ["no", open, paid], severity: WARNING}  # 3 different in 2,000 values',
        "  freshness: {timestamp_column: placed_at, max_age_hours: 1, severity: WARNING}",
        "    amount: {reference: profiles/orders.json, severity: WARNING}",
    ):
        assert line in text, text
    assert "customer: {values" not in text


def test_without_a_moment_no_freshness_is_proposed(publish, root):
    found = survey(publish({"t": [AS_OF] * 30}))
    assert "freshness: not proposed, as it is not known when this data was current; give --as-of" in proposed(found)
    old = survey(
        publish({"t": [AS_OF - timedelta(days=number) for number in range(30)]}), as_of=AS_OF + timedelta(days=99)
    )
    assert "99 days older" in proposed(old)


# ------------------------------------------------------------------ the property

NAMES = st.text(min_size=1, max_size=12).filter(
    lambda text: "\x00" not in text and text.isprintable()
) | st.sampled_from(
    [
        "no",
        "${HOME}",
        "a: b",
        "#",
        "- x",
        "1",
        "null",
        "{",
        "'",
        '"',
        "naïve",
        "日本",
        "😀",
        "~",
        "a #b",
        "2026-01-01",
        "<<",
    ]
)


def naive(year: int, month: int = 1) -> datetime:
    """A time without a zone."""
    return datetime(year, month, 1, tzinfo=UTC).replace(tzinfo=None)


CELLS = {
    "int": (st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), pa.int64()),
    "float": (st.floats() | st.sampled_from([0.0, -0.0, 1e300, 1e-300]), pa.float64()),
    "text": (st.text(max_size=5).filter(lambda text: "\x00" not in text) | NAMES, pa.string()),
    "bool": (st.booleans(), pa.bool_()),
    "decimal": (st.decimals(-99999, 99999, places=2), pa.decimal128(10, 2)),
    "moment": (st.datetimes(naive(2025, 12), naive(2026, 2)), pa.timestamp("us", "UTC")),
    "naive": (st.datetimes(naive(1950), naive(2100)), pa.timestamp("us")),
    "date": (st.dates(), pa.date32()),
    "null": (st.none(), pa.null()),
}


@st.composite
def tables(draw) -> pa.Table:
    rows = draw(st.sampled_from([0, 1, 25, 60, 1100]))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        cells, kind = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        pool = draw(st.lists(cells | st.none() if draw(st.booleans()) else cells, min_size=1, max_size=30))
        columns[name] = pa.array([pool[number % len(pool)] for number in range(rows)], kind)
    return pa.table(columns)


@given(table=tables())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_proposed_rules_hold_on_the_data_that_they_come_from(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("proposal")
    artifact = published(Storage(str(folder / "artifacts")), table)
    found = survey(artifact)
    write_once(folder / "profiles" / "p.json", as_text(document(found)), what="profile")
    path = folder / "validation_config.yaml"
    path.write_text(proposed(found, reference="profiles/p.json"), encoding="utf-8")
    verdict = validate(artifact, dataset_rules(path, "data"), as_of=AS_OF)
    wrong = [result for result in verdict.results if result.status in {"failed", "error"}]
    assert not wrong, path.read_text(encoding="utf-8") + verdict.summary()


@given(text=st.text() | NAMES)
def test_a_scalar_is_read_back_as_the_text_that_it_was(text):
    assert YAML(typ="safe").load(f"[{scalar(text)}, {{{scalar(text)}: 1}}]") == [text, {text: 1}]
