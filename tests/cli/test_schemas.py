"""The exported JSON Schemas accept what the models accept, refuse what they refuse, and are in step with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from airflow_provider_mlpipe.cli.overview import overview
from airflow_provider_mlpipe.config.schemas import KINDS, json_schema
from airflow_provider_mlpipe.errors import ConfigError
from tests.cli.terminal import CONFIG, REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "ingestion": "ingestion_config.yaml",
    "validation": "validation_config.yaml",
    "features": "feature_config.yaml",
}

SEED = {
    "ingestion": """
sources:
  user_data: {type: database, connection_string: postgresql://..., table: users, required_columns: [user_id, email], batch_size: 1000}
  task_data: {type: api, url: https://api.example.com/tasks, headers: {Authorization: "Bearer ${API_TOKEN}"}, data_key: tasks}
""",
    "validation": """
user_data:
  schema: {user_id: string, email: string, age: int}
  required_columns: [user_id, email]
  unique_columns: [user_id, email]
  range_constraints: {age: [0, 120]}
  categorical_constraints: {status: [active, inactive, pending]}
  freshness: {timestamp_column: created_at, max_age_hours: 24}
""",
    "features": """
user_features:
  aggregation_window: 7d
  normalize: true
  handle_missing: impute
  features: [skill_score_backend, skill_score_frontend, current_workload_hours, tasks_completed_7d]
""",
}

ALSO_GOOD = {
    "long forms": (
        "validation",
        """
d:
  schema: {a: {type: int, severity: WARNING}}
  required_columns: [{column: a, mostly: 0.9}, b]
  unique_columns: [[a, b], {columns: [c], severity: INFO}]
  range_constraints: {a: {min: 0}, t: ["2020-01-01", null]}
  categorical_constraints: {s: {values: [x, 1, true], owner: me}}
  distribution: {a: {reference: {bins: [0, 1], weights: [1]}, method: ks}}
  allow_empty: true
""",
    ),
    "the environment anywhere": (
        "ingestion",
        'sources: {s: {type: database, connection_string: "${DB}", table: t, batch_size: "${SIZE:-100}"}}',
    ),
    "a file source": (
        "ingestion",
        """
sources:
  s: {type: file, path: x.csv, format: csv, columns: {age: null}, deduplicate: {keys: [a]}, incremental: {cursor_column: t, window: 3d}}
""",
    ),
    "declared features and a store": (
        "features",
        """
team_features:
  aggregations: {n: {agg: count, where: "a = 1", windows: [7d, 30d], pivot: {column: skill, values: [x]}}}
  derived: {ratio: n_7d / n_30d}
  feast: {ttl: 2d}
feature_store: {project: p, online_store: {type: sqlite}, on_empty: skip}
""",
    ),
    "a store by its URL": ("features", "feature_store: {online_store: 'redis://host:6379/0'}"),
}

BAD = {
    "unknown key": ("validation", "d: {requird_columns: [a]}"),
    "unknown severity": ("validation", "d: {freshness: {timestamp_column: t, max_age_hours: 1, severity: FATAL}}"),
    "unknown type": ("validation", "d: {schema: {a: strin}}"),
    "half a range": ("validation", "d: {range_constraints: {a: [1]}}"),
    "negative batch": ("ingestion", "sources: {s: {type: database, table: t, batch_size: -1}}"),
    "unknown source": ("ingestion", "sources: {s: {type: databse, table: t}}"),
    "no sources": ("ingestion", "sources: {}"),
    "unknown feature key": ("features", "user_features: {feature: [a], features: [b]}"),
    "unknown aggregation": ("features", "u_features: {aggregations: {a: {agg: median, column: c}}}"),
    "wrong store key": ("features", "feature_store: {onlin_store: {}}"),
}


def problems(kind: str, text: str) -> list[str]:
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(YAML(typ="safe").load(text))]


def model_problems(text: str, folder: Path) -> list[str]:
    path = folder / "some.yaml"
    path.write_text(text, encoding="utf-8")
    return overview(path).problems


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_file_is_in_step_with_the_models(kind):
    path = REPOSITORY / "airflow_provider_mlpipe" / "config" / "schemas" / f"{kind}.json"
    assert json.loads(path.read_text(encoding="utf-8")) == json_schema(kind), f"mlpipe schema {kind} > {path.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_file_is_accepted(kind):
    assert problems(kind, (CONFIG / FILES[kind]).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_file_is_accepted(kind, tmp_path):
    assert problems(kind, SEED[kind]) == []
    assert model_problems(SEED[kind], tmp_path) == []


@pytest.mark.parametrize(("kind", "text"), ALSO_GOOD.values(), ids=ALSO_GOOD)
def test_what_the_models_accept_is_accepted(kind, text, tmp_path, monkeypatch):
    monkeypatch.setenv("DB", "sqlite://")
    assert model_problems(text, tmp_path) == []
    assert problems(kind, text) == []


@pytest.mark.parametrize(("kind", "text"), BAD.values(), ids=BAD)
def test_what_the_models_refuse_is_refused(kind, text, tmp_path):
    assert model_problems(text, tmp_path) != []
    assert problems(kind, text) != []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_means(kind):
    silent = [
        f"{name}.{key}"
        for name, definition in json_schema(kind)["$defs"].items()
        for key, schema in definition.get("properties", {}).items()
        if not schema.get("description")
    ]
    assert silent == []


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'features'"):
        json_schema("feature")
