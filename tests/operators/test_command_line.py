"""What Airflow's command line knows of the provider, and ``airflow mlpipe``: with connections, errors and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.get_provider_info import get_provider_info
from tests.operators.home import REPOSITORY, environment, new_airflow, python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

AS_OF = ["--as-of", "2026-01-14T02:00:00Z"]
PASSWORD = "hunter2-of-the-tracker"
TABLE = ["--output", "json"]
COMMANDS = {
    "help": ["--help"],
    "providers": ["providers", "list", *TABLE],
    "provider": ["providers", "get", "airflow-provider-mlpipe", "--full", *TABLE],
    "hooks": ["providers", "hooks", *TABLE],
    "links": ["providers", "links", *TABLE],
    "triggers": ["providers", "triggers", *TABLE],
    "notifications": ["providers", "notifications", *TABLE],
    "widgets": ["providers", "widgets", *TABLE],
    "behaviours": ["providers", "behaviours", *TABLE],
    "section": ["config", "list", "--section", "mlpipe", "--include-descriptions", "--include-examples", "--defaults"],
    "artifact_root": ["config", "get-value", "mlpipe", "artifact_root"],
    "config_folder": ["config", "get-value", "mlpipe", "config_folder"],
    "feast": ["connections", "test", "the_feast"],
    "feast_away": ["connections", "test", "away"],
    "add": ["connections", "add", "stored", "--conn-json"],
    # From here on it is ours, which silences Airflow's own logging.
    "mlpipe": ["mlpipe"],
    "ingest_help": ["mlpipe", "ingest", "--help"],
    "version": ["mlpipe", "--version"],
    "ingest": ["mlpipe", "ingest", "user_data", "--conn-id", "stored", *AS_OF, "--json"],
    "rooted": ["mlpipe", "ingest", "user_data", "--conn-id", "tracker", *AS_OF, "--json", "--root", "elsewhere"],
    "online": ["mlpipe", "online", "user_profile_features", "u_0001", "--feast-conn-id", "the_feast", "--json"],
    "nobody": ["mlpipe", "ingest", "user_data", "--conn-id", "nobody", *AS_OF],
    "nobody_json": ["mlpipe", "ingest", "user_data", "--conn-id", "nobody", *AS_OF, "--json"],
    "unknown": ["mlpipe", "ingest", "--no-such-option"],
    "unreachable": ["mlpipe", "ingest", "user_data", "--conn-id", "down", *AS_OF],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Airflow and the sample are."""
    return tmp_path_factory.mktemp("command-line")


@pytest.fixture(scope="module")
def ended(place: Path) -> dict[str, Any]:
    """How each command ended, all of one process that may not warn of anything of ours."""
    airflow = new_airflow(place)
    data = sample.write(place / "sample")
    stored = {"conn_type": "sqlite", "host": data.url.removeprefix("sqlite:///")}
    commands = {**COMMANDS, "add": [*COMMANDS["add"], json.dumps(stored)]}
    away = {"conn_type": "feast", "password": PASSWORD, "extra": {"online_connection": "redis://127.0.0.1:1"}}
    env = environment(
        airflow.home,
        PYTHONPATH=str(REPOSITORY),
        AIRFLOW__MLPIPE__CONFIG_FOLDER=str(REPOSITORY / "config"),
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW_CONN_TRACKER=json.dumps(stored),
        AIRFLOW_CONN_DOWN=json.dumps(
            {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "ann", "password": PASSWORD}
        ),
        AIRFLOW_CONN_THE_FEAST=json.dumps({"conn_type": "feast", "extra": {"project": "of_the_form"}}),
        AIRFLOW_CONN_AWAY=json.dumps(away),
        MLPIPE_ARTIFACT_ROOT="of-no-interest-here",
    )
    output, driver = place / "ended.json", str(REPOSITORY / "tests" / "operators" / "command_lines.py")
    done = python("-W", "default", driver, str(output), json.dumps(list(commands.values())), env=env)
    assert output.exists(), done.stdout + done.stderr
    found: dict[str, Any] = dict(zip(commands, json.loads(output.read_text()), strict=True))
    return found | {"aside": done.stdout + done.stderr}


def answer(ended: dict[str, Any], name: str) -> Any:
    assert ended[name]["code"] == 0, ended[name]
    return json.loads(ended[name]["out"])


# ------------------------------------------------------------------ what Airflow knows of us


def test_nothing_of_ours_is_warned_of(ended: dict[str, Any]) -> None:
    said = ended["aside"] + "".join(ended[name]["err"] for name in COMMANDS if "mlpipe" not in COMMANDS[name])
    ours = [line for line in said.splitlines() if "mlpipe" in line.lower() and "command-line" not in line]

    assert not ours, "\n".join(ours)


def test_the_provider_and_all_that_it_brings_is_listed(ended: dict[str, Any]) -> None:
    info = get_provider_info()

    assert "airflow-provider-mlpipe" in {each["package_name"] for each in answer(ended, "providers")}
    assert "airflow-provider-mlpipe" in ended["provider"]["out"]
    (hook,) = [each for each in answer(ended, "hooks") if each["connection_type"] == "feast"]
    assert (hook["class"], hook["package_name"]) == (
        "airflow_provider_mlpipe.hooks.feast.FeastHook",
        "airflow-provider-mlpipe",
    )
    assert set(info.get("extra-links", [])) <= {each["extra_link_class_name"] for each in answer(ended, "links")}
    listed = {
        each.get("notification_class_name") or next(iter(each.values())) for each in answer(ended, "notifications")
    }
    assert set(info["notifications"]) <= listed
    modules = {name for each in info.get("triggers", []) for name in each["python-modules"]}
    assert modules <= {str(value) for each in answer(ended, "triggers") for value in each.values()}
    assert "mlpipe" in ended["help"]["out"]


def test_the_form_of_the_connection_is_drawn(ended: dict[str, Any]) -> None:
    fields = {each["connection_parameter_name"]: each for each in answer(ended, "widgets")}
    (behaviour,) = [each for each in answer(ended, "behaviours") if "feast" in each.values()]

    (form,) = get_provider_info()["connection-types"]
    assert {f"extra__feast__{name}" for name in form["conn-fields"]} <= set(fields)
    assert behaviour


def test_the_section_is_documented(ended: dict[str, Any], place: Path) -> None:
    text = ended["section"]["out"]

    assert ended["section"]["code"] == 0
    for name, option in get_provider_info()["config"]["mlpipe"]["options"].items():
        assert f"\n# {name} =" in text or f"\n{name} =" in text, name
        assert option["description"].split(".")[0].split("\n")[0][:60] in text.replace("\n# ", " "), name
        assert f"# Example: {name} = {option['example']}" in text, name
    assert ended["artifact_root"]["out"].strip() == str(place / "airflow" / "mlpipe")
    assert ended["config_folder"]["out"].strip() == str(REPOSITORY / "config")


def test_the_test_button_asks_feast(ended: dict[str, Any]) -> None:
    assert ended["feast"]["code"] == 0, ended["feast"]
    assert "Connection success!" in ended["feast"]["out"]
    assert ended["feast_away"]["code"] == 1
    assert "could not ask the online store" in " ".join(ended["feast_away"]["out"].split())
    assert PASSWORD not in json.dumps(ended)


# ------------------------------------------------------------------ airflow mlpipe


def test_its_help_is_that_of_mlpipe(ended: dict[str, Any]) -> None:
    assert ended["mlpipe"]["code"] == 0
    assert "Usage: airflow mlpipe [OPTIONS] COMMAND" in ended["mlpipe"]["out"]
    assert "Usage: airflow mlpipe ingest" in ended["ingest_help"]["out"]
    assert "--conn-id" in ended["ingest_help"]["out"]
    assert ended["version"]["out"].startswith("mlpipe ")


def test_it_reads_by_connections_of_database_and_environment(ended: dict[str, Any], place: Path) -> None:
    """From ``[mlpipe] config_folder`` to ``[mlpipe] artifact_root``, unless an option says otherwise."""
    stored, other = answer(ended, "ingest"), answer(ended, "rooted")
    partition = "user_data/raw/20260113T020000Z-20260114T020000Z"

    assert stored["rows"] == other["rows"] > 0
    assert stored["artifact"] == str(place / "airflow" / "mlpipe" / partition)
    assert other["artifact"].endswith(f"elsewhere/{partition}")
    assert (place / "elsewhere" / partition / "_manifest.json").exists()


def test_a_connection_says_where_feast_is(ended: dict[str, Any]) -> None:
    """Nothing is there yet in the project of the connection, which the answer names."""
    assert ended["online"]["code"] in {2, 3}
    assert "user_profile_features" in json.loads(ended["online"]["out"])["error"]["message"]


def test_errors_and_exit_codes_are_those_of_mlpipe(ended: dict[str, Any]) -> None:
    assert ended["nobody"] == {
        "code": 2,
        "out": "",
        "err": "error: there is no Airflow connection named 'nobody'.\nHint: airflow connections add nobody ..., or the "
        "environment variable AIRFLOW_CONN_NOBODY.\n",
    }
    assert ended["nobody_json"]["code"] == 2
    assert json.loads(ended["nobody_json"]["out"])["error"]["conn_id"] == "nobody"
    assert ended["unknown"]["code"] == 2
    assert "airflow mlpipe ingest --help shows how it is used" in ended["unknown"]["err"]
    assert ended["unreachable"]["code"] == 3
    assert ended["unreachable"]["err"].startswith("error: ")
