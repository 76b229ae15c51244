"""The error tree: complete, documented, picklable, and without secrets."""

from __future__ import annotations

import inspect
import pickle

import pytest

from airflow_provider_mlpipe import errors, wording
from airflow_provider_mlpipe.errors import (
    ArtifactNotFoundError,
    ConfigError,
    MlpipeError,
    SourceRejectedError,
    SourceUnavailableError,
    Terminal,
    Transient,
    UnknownKeyError,
    did_you_mean,
    redact,
    samples,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MlpipeError)]


def test_exported_members():
    defined = {
        name
        for name, member in vars(errors).items()
        if not name.startswith("_") and getattr(member, "__module__", "") in {errors.__name__, wording.__name__}
    }
    assert set(errors.__all__) == defined
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_tree_and_can_be_sent_to_another_process(kind):
    assert kind.__name__ in errors.__doc__

    sent = pickle.loads(pickle.dumps(kind("what", hint="do this", rows=3)))

    assert type(sent) is kind
    assert (sent.message, sent.hint, sent.fields) == ("what", "do this", {"rows": 3})
    assert str(sent) == "what\nHint: do this"


def test_leaves_say_whether_trying_again_helps_and_codes_are_unique():
    leaves = [kind for kind in CLASSES if not kind.__subclasses__()]
    for kind in leaves:
        assert issubclass(kind, Terminal) != issubclass(kind, Transient), kind
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)
    assert {kind.exit_code for kind in CLASSES} == {1, 2, 3}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:hunter2@db/shop",
        "postgresql+psycopg://ann:hunter2@db:5432/shop?sslmode=require",
        "redis://:hunter2@cache:6379/0",
        "mysql://root:p@hunter2@db/shop",
        "host=db password=hunter2 user=ann",
        "password='hunter2'",
        '{"api_key": "hunter2"}',
        "https://api/x?access_token=hunter2&page=2",
        "https://bucket/x?X-Amz-Signature=hunter2",
        "Authorization: Bearer hunter2",
        "Basic hunter2==",
        "aws_secret_access_key=hunter2",
        "cache:6379,password=hunter2,ssl=true",
    ],
)
def test_secrets_are_redacted(text):
    assert "hunter2" not in redact(text)


def test_what_is_no_secret_stays_readable():
    text = "table public.tokens at db:5432 has no column 'token_id'; see https://docs/x?page=2"
    assert redact(text) == text


def test_source_errors_redact_their_location_and_cause():
    error = SourceUnavailableError.unreachable(
        source="users", location="postgresql://ann:hunter2@db/shop", problem="password=hunter2 refused"
    )
    assert "hunter2" not in str(error)
    assert "hunter2" not in str(error.as_dict())
    assert "postgresql://ann:***@db/shop" in str(error)


def test_messages_say_what_where_and_what_next():
    unknown = UnknownKeyError.among(where="a.yaml:3", parent="sources.x", key="tabel", known=["table", "query"])
    assert str(unknown) == (
        "a.yaml:3: unknown key 'tabel' in sources.x. Did you mean 'table'?\nHint: Known keys: query, table."
    )
    missing = SourceRejectedError.missing_columns(
        source="users", location="sqlite:///x.db", missing=["emial"], available=["email", "age"]
    )
    assert str(missing) == (
        "source 'users' at sqlite:///x.db has no column 'emial'. Did you mean 'email'? It has: email, age.\n"
        "Hint: Correct required_columns, or map the name with columns: {ours: theirs}."
    )
    nothing = ArtifactNotFoundError.at("s3://lake/users/raw/x")
    assert str(nothing) == (
        "no artifact at s3://lake/users/raw/x: it holds no _manifest.json.\n"
        "Hint: Give the folder that a stage returned (its XCom return_value), or run that stage first."
    )


def test_several_problems_are_told_at_once():
    one = ConfigError.invalid(where="a.yaml:1", key="x", problem="bad")
    assert ConfigError.several([one]) is one
    both = ConfigError.several([one, ConfigError.invalid(where="a.yaml:2", key="y", problem="worse", value="3")])
    assert str(both) == "2 problems in the configuration:\n  a.yaml:1: x: bad\n  a.yaml:2: y: worse, got 3"


def test_samples_are_few_and_short():
    assert samples(range(9)) == "0, 1, 2, 3, 4, ..."
    assert len(samples(["x" * 500])) == 80
    assert did_you_mean("zzz", ["table"]) == ""
