"""Every command says what it does, starts fast, and tells wrong use from failure."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
import typer

from airflow_provider_mlpipe.cli.application import app
from tests.cli.terminal import AS_OF, CONFIG, REPOSITORY
from tests.servers import silence

COMMAND = [sys.executable, "-m", "airflow_provider_mlpipe.cli"]
GROUP = typer.main.get_command(app)
LEAVES = {
    " ".join([name, *below]): command
    for name, found in GROUP.commands.items()
    for below, command in (
        [([inner], leaf) for inner, leaf in found.commands.items()] if hasattr(found, "commands") else [([], found)]
    )
}
NAMES = sorted(LEAVES)

HEAVY = {
    "airflow", "boto3", "duckdb", "feast", "great_expectations", "httpx", "ibis", "pandas", "pyarrow", "pydantic",
    "sqlalchemy",
}  # fmt: skip


def test_the_commands_are_those_that_are_promised():
    assert NAMES == [
        "artifact", "check", "extract", "feast apply", "feast export", "features explain", "features fit",
        "features list", "features promote", "ingest", "materialize", "online read", "online rollback", "profile", "run", "sample", "schema", "suite export", "training-set", "validate",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_each_of_its_arguments_has_a_help_text(name, mlpipe):
    command = LEAVES[name]
    assert command.help
    assert len(command.help) > 40
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []
    assert mlpipe(*name.split(), "--help").code == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_command_speaks_to_machines(name):
    assert "--json" in {option for parameter in LEAVES[name].params for option in parameter.opts}


def test_without_arguments_it_says_what_there_is(mlpipe):
    answer = mlpipe()
    assert answer.code == 0
    for name in GROUP.commands:
        assert name in answer.out
    assert mlpipe("--help").out == answer.out


def test_the_version_is_the_packages(mlpipe):
    from airflow_provider_mlpipe import __version__

    assert mlpipe("--version").out.strip() == f"mlpipe {__version__}"


def test_help_imports_nothing_heavy():
    code = (
        "import json, sys; from airflow_provider_mlpipe.cli.application import command_line; "
        "code = command_line(['--help']); sys.stderr.write(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert HEAVY & {name.partition(".")[0] for name in modules} == set()


@pytest.mark.parametrize("kind", ["ingestion", "validation", "features"])
def test_schema_prints_the_exported_file(kind, mlpipe):
    exported = REPOSITORY / "airflow_provider_mlpipe" / "config" / "schemas" / f"{kind}.json"
    assert mlpipe("schema", kind).out == exported.read_text(encoding="utf-8")


def test_sample_says_what_it_wrote_and_what_it_broke(mlpipe, tmp_path):
    answer = mlpipe("sample", tmp_path / "s", "--users", 20, "--days", 5, "--until", "2026-03-31", "--break", "age-200")
    assert answer.code == 0
    assert re.search(r"users +20", answer.out)
    assert "two users are 200 years old" in answer.out
    assert f"sqlite:///{tmp_path}/s/tracker.db" in answer.out


def test_sample_for_machines(mlpipe, tmp_path):
    document = mlpipe("sample", tmp_path / "s", "--users", 20, "--days", 5, "--seed", 3, "--json").document
    assert document["rows"]["users"] == 20
    assert document["start"] == "2026-01-27T00:00:00+00:00"
    assert all(str(tmp_path) in path for path in document["files"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["check"], "Missing argument 'FILE...'"),
        (["sample", "x", "--user", "3"], "No such option"),
        (["schema", "nonsense"], "nonsense"),
        (["sample", "x", "--break", "null-mail"], "Did you mean 'null-email'?"),
        (["sample", "x", "--until", "yesterday"], "not an ISO 8601 date"),
        (["run"], "--as-of: is missing"),
        (["run", "--as-of", AS_OF, "--input", "users"], "--input: users: not of the form NAME=VALUE"),
        (["run", "--as-of", AS_OF, "--input", "a=b", "--input", "a=c"], "--input: a: given twice"),
        (["run", "--as-of", AS_OF, "--set", "user_feature"], "Did you mean 'user_features'?"),
        (["run", "--as-of", AS_OF, "--input", "users=user_dat"], "Did you mean 'user_data'?"),
        (["run", "--as-of", AS_OF, "--root", "gs://x"], "storage gs:// is not supported"),
        (["ingest", "user_data", "--interval-end", AS_OF], "one end is missing"),
        (["ingest", "user_data", "--interval-start", AS_OF, "--interval-end", "2026-01-01"], "lies before start"),
        (
            ["ingest", "user_data", "--interval-start", "2026-01-01", "--interval-end", AS_OF, "--as-of", "2026-01-02"],
            "differs from --interval-end",
        ),
        (
            ["online", "nonsense", "u_1"],
            "no feature view named 'nonsense'. Known: project_features, task_features, team_features, user_profile_features.",
        ),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_do(arguments, said, mlpipe, configured):
    answer = mlpipe(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err

    machine = mlpipe(*arguments, "--json")
    assert machine.code == 2
    assert said in machine.document["error"]["message"]
    assert machine.err == ""


def test_what_is_not_foreseen_is_one_sentence_without_a_secret(mlpipe, tmp_path, monkeypatch):
    def explode(*_arguments, **_options):
        raise RuntimeError("cannot reach postgresql://ann:hunter2@db/shop")

    monkeypatch.setattr("airflow_provider_mlpipe.sample.write", explode)
    answer = mlpipe("sample", tmp_path)
    assert answer.code == 3
    assert answer.err == (
        "error: RuntimeError: cannot reach postgresql://ann:***@db/shop\n"
        "Hint: This is not foreseen. MLPIPE_DEBUG=1 shows the traceback.\n"
    )
    assert mlpipe("sample", tmp_path, "--json").document["error"]["code"] == "unexpected"

    monkeypatch.setenv("MLPIPE_DEBUG", "1")
    assert "Traceback" in mlpipe("sample", tmp_path).err


def test_a_reader_that_leaves_early_is_no_error():
    with subprocess.Popen(
        [*COMMAND, "schema", "validation"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()  # before anything was written: its write will fail
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_ctrl_c_exits_with_130_and_leaves_nothing(tmp_path):
    """The interrupt comes while a server keeps the ingestion waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = tmp_path / "i.yaml"
        source.write_text(f"sources: {{t: {{type: api, url: 'http://127.0.0.1:{server.getsockname()[1]}/'}}}}\n")
        root = tmp_path / "artifacts"
        process = subprocess.Popen(
            [*COMMAND, "ingest", "t", "--config", str(source), "--root", str(root), "--as-of", AS_OF],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            connection.recv(1)  # it has asked, and waits
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("error: Interrupted. Nothing half done was published.\n")
    assert "Traceback" not in err
    assert list(root.rglob("_manifest.json")) == []


def test_ctrl_c_ends_a_request_to_a_bucket_that_hangs(tmp_path):
    """The interrupt comes while pyarrow waits, in C++, for an answer that never ends."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with silence() as server:
        source = tmp_path / "i.yaml"
        source.write_text("sources: {t: {type: file, path: 's3://lake/t.csv'}}\n")
        process = subprocess.Popen(
            [*COMMAND, "ingest", "t", "--config", str(source), "--root", str(tmp_path / "artifacts"), "--as-of", AS_OF],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **keys, "AWS_ENDPOINT_URL": server.url},
        )  # fmt: skip
        try:
            assert server.asked.wait(300)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.endswith("error: Interrupted. Nothing half done was published.\n")


def test_people_at_a_terminal_see_progress_and_stdout_stays_clean(tmp_path):
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "sample", str(tmp_path), "--users", "20", "--days", "5"],
        stdout=subprocess.PIPE, stderr=theirs, text=True, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    seen: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(ours, seen))
    reader.start()
    out, _ = process.communicate(timeout=60)
    reader.join()
    os.close(ours)
    assert process.returncode == 0
    assert b"writing the sample" in b"".join(seen)
    assert "writing the sample" not in out
    assert "\x1b" not in out


def _drain(descriptor, seen):
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # the other end is gone: how Linux says that a terminal was closed
            return
        if not data:
            return
        seen.append(data)


def test_the_config_folder_of_the_repository_is_what_these_tests_use():
    assert sorted(path.name for path in CONFIG.glob("*.yaml")) == [
        "feature_config.yaml",
        "ingestion_config.yaml",
        "validation_config.yaml",
    ]
