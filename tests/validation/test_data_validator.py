"""The seed's API: `DataValidator().validate_all(df, config)` and `generate_report()`."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.data_validator import DataValidator

CONFIG = {
    "schema": {"user_id": "string", "email": "string", "age": "int"},
    "required_columns": ["user_id", "email"],
    "unique_columns": ["user_id", "email"],
    "range_constraints": {"age": (0, 120)},
    "categorical_constraints": {"status": ["active", "inactive", "pending"]},
    "freshness": {"timestamp_column": "created_at", "max_age_hours": 24},
}


@pytest.fixture
def users() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u3"],
            "email": ["a@example.org", "b@example.org", "c@example.org"],
            "age": [30, 41, 52],
            "status": ["active", "pending", None],
            "created_at": [pd.Timestamp.now(tz="UTC")] * 3,
        }
    )


def failed(results) -> set[str]:
    return {each.rule_id.removeprefix("data.") for each in results if each.failed}


def test_the_seeds_snippet(users):
    validator = DataValidator()
    passed, results = validator.validate_all(users, CONFIG)
    assert passed is True
    assert all(each.passed for each in results)
    assert "PASSED, 16 of 16 rules held" in validator.generate_report()


def test_every_flaw_is_named(users):
    bad = pd.concat([users, users.iloc[:1]], ignore_index=True)
    bad.loc[1, "email"] = None
    bad.loc[2, "age"] = 200
    bad.loc[2, "status"] = "gone"
    validator = DataValidator()
    passed, results = validator.validate_all(bad, CONFIG | {"range_constraints": {"age": [0, 120]}})
    assert passed is False
    assert failed(results) == {"not_null.email", "unique.user_id", "unique.email", "range.age", "in_set.status"}
    assert results[0].as_dict()["rule_id"] == results[0].rule_id
    report = validator.generate_report()
    assert "BLOCKED" in report
    assert "samples: 200 (user_id 'u3')" in report
    assert "ok: `age` is of type int." in report


def test_freshness_is_measured_against_as_of_if_it_is_given(users):
    old = users.assign(created_at=pd.Timestamp("2026-01-13T20:00:00"))
    assert failed(DataValidator().validate_all(old, CONFIG)[1]) == {"fresh.created_at"}
    assert DataValidator().validate_all(old, CONFIG, as_of="2026-01-14T02:00:00Z")[0]


def test_integers_that_pandas_made_floats_for_want_of_a_null_are_integers(users):
    assert DataValidator().validate_all(users.assign(age=[30, None, 52]), CONFIG)[0]
    assert failed(DataValidator().validate_all(users.assign(age=[30.5, None, 52]), CONFIG)[1]) == {"type.age"}
    assert failed(DataValidator().validate_all(users.assign(age=[30.0, 41.0, 52.0]), CONFIG)[1]) == {"type.age"}


@pytest.mark.parametrize("dtype", ["Int64", "int8", "UInt16", "int64[pyarrow]"])
def test_any_width_of_int_is_an_int(users, dtype):
    assert DataValidator().validate_all(users.astype({"age": dtype}), CONFIG)[0]


def test_a_categorical_column_is_what_its_values_are(users):
    assert DataValidator().validate_all(users.astype({"status": "category"}), CONFIG)[0]


def test_a_column_of_values_of_several_types_fails_cleanly(users):
    mixed = users.assign(age=[30, "forty", None])
    _, results = DataValidator().validate_all(mixed, CONFIG)
    assert failed(results) == {"type.age", "range.age"}
    (cannot,) = [each for each in results if each.status == "error"]
    assert cannot.found == "It cannot run: `age` is of type mixed, which cannot be compared with numbers."


def test_an_arrow_table_will_do(users):
    assert DataValidator().validate_all(pa.Table.from_pandas(users), CONFIG)[0]


def test_frames_without_rows_or_columns(users):
    assert failed(DataValidator().validate_all(users.iloc[:0], {"required_columns": ["user_id"]})[1]) == {"rows"}
    assert failed(DataValidator().validate_all(pd.DataFrame(), {"required_columns": ["a"]})[1]) == {"rows", "column.a"}
    nameless = pd.DataFrame(index=range(3))
    assert failed(DataValidator().validate_all(nameless, {"required_columns": ["a"]})[1]) == {"column.a"}


def test_wrong_use_is_said_so(users):
    with pytest.raises(ConfigError, match="Did you mean 'required_columns'"):
        DataValidator().validate_all(users, {"requird_columns": ["user_id"]})
    with pytest.raises(ConfigError, match="two columns have this name"):
        DataValidator().validate_all(pd.concat([users, users], axis=1), CONFIG)
    assert DataValidator().generate_report() == "Nothing was validated yet."
