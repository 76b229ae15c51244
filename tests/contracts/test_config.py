"""Configuration: the seed's files, the environment, and messages with file and line."""

from __future__ import annotations

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, MissingEnvironmentVariableError, UnknownKeyError

SEED_INGESTION = """\
sources:
  user_data: {type: database, connection_string: postgresql://..., table: users, required_columns: [user_id, email], batch_size: 1000}
  task_data: {type: api, url: https://api.example.com/tasks, headers: {Authorization: "Bearer ${API_TOKEN}"}, data_key: tasks}
"""
SEED_VALIDATION = """\
user_data:
  schema: {user_id: string, email: string, age: int}
  required_columns: [user_id, email]
  unique_columns: [user_id, email]
  range_constraints: {age: [0, 120]}
  categorical_constraints: {status: [active, inactive, pending]}
  freshness: {timestamp_column: created_at, max_age_hours: 24}
"""
SEED_FEATURES = """\
user_features:
  aggregation_window: 7d
  normalize: true
  handle_missing: impute
  features: [skill_score_backend, skill_score_frontend, current_workload_hours, tasks_completed_7d]
"""


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "some.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_seed_ingestion_file(write, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2")
    path = write(SEED_INGESTION)

    users = config.source(path, "user_data")
    assert users.model.connection_string.get_secret_value() == "postgresql://..."
    assert (users.model.table, users.model.required_columns, users.model.batch_size) == (
        "users",
        ["user_id", "email"],
        1000,
    )
    tasks = config.source(path, "task_data")
    assert tasks.model.headers["Authorization"].get_secret_value() == "Bearer hunter2"
    assert tasks.model.data_key == "tasks"
    assert tasks.where("url") == f"{path}:3"
    assert "hunter2" not in repr(tasks.model)


def test_seed_validation_file(write):
    rules = config.dataset_rules(write(SEED_VALIDATION), "user_data").model
    assert {name: column.type for name, column in rules.columns.items()} == {
        "user_id": "string",
        "email": "string",
        "age": "int",
    }
    assert [rule.column for rule in rules.required_columns] == ["user_id", "email"]
    assert [rule.columns for rule in rules.unique_columns] == [["user_id"], ["email"]]
    assert (rules.range_constraints["age"].min, rules.range_constraints["age"].max) == (0, 120)
    assert rules.categorical_constraints["status"].values == ["active", "inactive", "pending"]
    assert rules.freshness.max_age_hours == 24
    assert rules.freshness.severity == "ERROR"


def test_seed_feature_file_and_default_store(write):
    path = write(SEED_FEATURES)
    features = config.feature_set(path, "user_features").model
    assert features.features[-1] == "tasks_completed_7d"
    assert (features.normalize, features.handle_missing, features.aggregation_window) == (True, "impute", "7d")
    assert config.feature_store(path).model == config.FeatureStore()


def test_long_forms_carry_severity():
    rules = config.dataset_rules(
        {
            "d": {
                "schema": {"a": {"type": "int", "severity": "WARNING"}},
                "required_columns": [{"column": "a", "mostly": 0.9, "severity": "INFO"}],
                "unique_columns": [["a", "b"], {"columns": ["c"], "severity": "WARNING", "note": "since May"}],
                "range_constraints": {"a": (0, None), "b": {"max": 3, "owner": "ann"}},
                "categorical_constraints": {"s": {"values": ["x"], "severity": "INFO"}},
                "distribution": {"a": {"reference": {"bins": [0, 1, 2], "weights": [0.5, 0.5]}}},
            }
        },
        "d",
    ).model
    assert rules.columns["a"].severity == "WARNING"
    assert rules.required_columns[0].mostly == 0.9
    assert [rule.columns for rule in rules.unique_columns] == [["a", "b"], ["c"]]
    assert rules.range_constraints["a"].min == 0
    assert rules.range_constraints["a"].max is None
    assert rules.distribution["a"].method == "psi"


def test_environment(write, monkeypatch):
    monkeypatch.setenv("HOST", "db1")
    monkeypatch.delenv("TABLE", raising=False)
    path = write(
        "sources:\n"
        "  a:\n"
        "    type: database\n"
        "    connection_string: sqlite:///${HOST}/${NAME:-x.db}\n"
        "    query: select '$${HOST}' from ${TABLE:-users}\n"
    )
    model = config.source(path, "a").model
    assert model.connection_string.get_secret_value() == "sqlite:///db1/x.db"
    assert model.query == "select '${HOST}' from users"


def test_a_missing_variable_is_only_missed_by_who_uses_it(write, monkeypatch):
    monkeypatch.delenv("API_TOKEN", raising=False)
    path = write(SEED_INGESTION)
    assert config.source(path, "user_data").name == "user_data"
    with pytest.raises(MissingEnvironmentVariableError) as caught:
        config.source(path, "task_data")
    assert str(caught.value) == (
        f"{path}:3: sources.task_data.headers.Authorization needs the environment variable API_TOKEN, which is not "
        "set.\nHint: export API_TOKEN=..., or write ${API_TOKEN:-default} in the YAML."
    )


def test_every_problem_is_told_with_its_line(write):
    path = write(
        "sources:\n"
        "  a:\n"
        "    type: database\n"
        "    tabel: users\n"
        "  b:\n"
        "    type: database\n"
        "    table: users\n"
        "    batch_size: 0\n"
        "    incremental: {cursor_column: t, window: 3x}\n"
        "  c: {type: databse}\n"
        "  d: {type: api}\n"
    )
    with pytest.raises(UnknownKeyError) as unknown:
        config.source(path, "a")
    assert str(unknown.value).startswith(f"{path}:4: unknown key 'tabel' in sources.a. Did you mean 'table'?")
    with pytest.raises(ConfigError) as several:
        config.source(path, "b")
    assert f"{path}:8: sources.b.batch_size: Input should be greater than 0, got 0" in str(several.value)
    assert f"{path}:9: " in str(several.value)
    with pytest.raises(ConfigError, match="10: sources.c.type: unknown value 'databse'. Did you mean 'database'"):
        config.source(path, "c")
    with pytest.raises(ConfigError, match="11: sources.d: the key 'url' is missing"):
        config.source(path, "d")
    with pytest.raises(ConfigError, match="no source named 'usr'"):
        config.source(path, "usr")


def test_secrets_never_stand_in_a_message(write, monkeypatch):
    monkeypatch.setenv("LIMIT", "hunter2")
    path = write(
        "sources:\n"
        "  a: {type: database, table: t, connection_string: [hunter2]}\n"
        "  b: {type: database, table: t, batch_size: '${LIMIT}'}\n"
        "  c: {type: api, url: http://x, headers: {Authorization: {x: hunter2}}}\n"
        "  d: {type: databse, connection_string: hunter2}\n"
    )
    for name in "abcd":
        with pytest.raises(ConfigError) as caught:
            config.source(path, name)
        assert "hunter2" not in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the top must be a mapping of names, it is empty"),
        ("- a\n- b\n", "the top must be a mapping of names, it is a CommentedSeq"),
        ("a: [1\n", ":2: not YAML"),
        ("a: 1\na: 2\n", ":2: not YAML"),
        ("a: &x [1,2]\nb: &y [*x,*x]\n", "no source"),
    ],
)
def test_files_that_are_not_configuration(write, text, message):
    with pytest.raises(ConfigError) as caught:
        config.source(write(text), "a")
    assert message.replace("no source", "this key is missing") in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        config.document_of(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.document_of(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.document_of(tmp_path)


def test_aliases_that_unfold_without_end_are_refused(write):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 100000 values"):
        config.document_of(write("\n".join(lines)))


def test_a_source_may_be_given_as_a_mapping_alone():
    model = config.source({"type": "file", "path": "x.csv"}, "mine").model
    assert model.path == "x.csv"
    with pytest.raises(ConfigError, match=r"unknown key 'pth'.* Did you mean 'path'"):
        config.source({"type": "file", "pth": "x.csv"}, "mine")


def test_unquoted_dates_are_text(write):
    path = write("d:\n  range_constraints:\n    born: [1900-01-01, 2026-01-15T02:00:00Z]\n")
    bounds = config.dataset_rules(path, "d").model.range_constraints["born"]
    assert (bounds.min, bounds.max) == ("1900-01-01", "2026-01-15T02:00:00+00:00")


def test_table_or_query():
    both = {"type": "database", "table": "a", "query": "select 1"}
    with pytest.raises(ConfigError, match="give either table or query"):
        config.source(both, "x")
