"""docker-compose.yaml keeps to the compose specification and to the house rules: pinned, healthy, private, secret-free."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.compose.stack import COMPOSE, ENV_EXAMPLE, REPO, compose, env_example, interpolate

OURS = "mlpipe-airflow:"
AIRFLOW = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
STACK = compose(env_example())
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
LASTING = sorted(set(SERVICES) - {"airflow-init"})


def check_schema(file: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    if not tool.exists():
        pytest.skip("the compose specification's schema comes with check-jsonschema: pip install check-jsonschema")
    command = [str(tool), "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_keeps_to_the_compose_specification() -> None:
    result = check_schema(COMPOSE)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schema_refuses_what_compose_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("healthcheck:", "heathcheck:", 1))

    assert check_schema(wrong).returncode == 1


def test_it_has_the_whole_stack() -> None:
    assert set(SERVICES) == AIRFLOW | {"airflow-init", "postgres", "minio", "valkey"}
    assert all(SERVICES[name]["image"].startswith(OURS) for name in AIRFLOW)
    assert SERVICES["airflow-api-server"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned_to_a_full_version(name: str) -> None:
    _, tag = SERVICES[name]["image"].rsplit(":", 1)

    assert re.search(r"\d+\.\d+|\d{4}-\d{2}-\d{2}T", tag), tag
    assert "latest" not in tag


def test_the_image_is_built_on_the_airflow_that_the_constraints_pin() -> None:
    constraints = dict(line.split("==") for line in (REPO / "constraints.txt").read_text().split() if "==" in line)
    base = re.search(r"^FROM apache/airflow:slim-([\d.]+)-python3\.11$", _dockerfile(), re.MULTILINE)

    assert base is not None
    assert base[1] == constraints["apache-airflow"] == SERVICES["airflow-init"]["image"].removeprefix(OURS)


def test_the_image_is_built_from_files_that_exist_and_the_engine_may_see() -> None:
    ignore = (REPO / "docker/Dockerfile.dockerignore").read_text().splitlines()
    copied = [
        word
        for line in re.findall(r"^COPY --chown=\S+ (.*) \S+$", _dockerfile(), re.MULTILINE)
        for word in line.split()
    ]

    assert "airflow_provider_mlpipe" in copied
    for name in copied:
        assert (REPO / name).exists(), name
        assert f"!{name}" in ignore, name
    assert "*" in ignore
    assert not any(".env" in line for line in ignore if line.startswith("!"))


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_tells_when_it_is_healthy(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_services_wait_for_what_they_need(name: str) -> None:
    needs = SERVICES[name].get("depends_on", {})

    for other, how in needs.items():
        done = "service_completed_successfully" if other == "airflow-init" else "service_healthy"
        assert how["condition"] == done, other
    if name in AIRFLOW:
        assert {"airflow-init", "postgres", "minio", "valkey"} <= set(needs)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_mounted_file_and_named_volume_exists(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("./"):
            assert (REPO / source).exists(), source
            assert mode == ["ro"], f"{mount}: what comes from the work tree is read-only"
        else:
            assert source in STACK["volumes"]


def test_secrets_come_from_the_environment_only() -> None:
    text = COMPOSE.read_text()
    secret = r"\w*(?:PASSWORD|SECRET|FERNET_KEY)\w*"

    for name, value in re.findall(rf"^\s+({secret}): (.+)$", text, re.MULTILINE):
        if not name.endswith("_FILE"):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), name
    for shown in env_example().values():
        assert shown not in text


def test_env_example_holds_what_the_file_needs_and_nothing_else() -> None:
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE.read_text()))

    assert set(env_example()) == required


@pytest.mark.parametrize("name", sorted(env_example()))
def test_a_missing_secret_stops_the_start_with_its_name(name: str) -> None:
    with pytest.raises(KeyError, match=f"{name} is missing a value: copy .env.example"):
        compose({key: value for key, value in env_example().items() if key != name})


def test_the_example_secrets_say_that_they_are_public_and_can_be_used() -> None:
    secrets = env_example()

    assert "EVERY VALUE BELOW IS PUBLIC" in ENV_EXAMPLE.read_text()
    Fernet(secrets.pop("AIRFLOW_FERNET_KEY").encode())
    for name, value in secrets.items():
        assert value.startswith("dev-only-"), name
        assert re.fullmatch(r"[A-Za-z0-9_-]+", value), f"{name} stands in a URL"
    assert len(secrets["AIRFLOW_JWT_SECRET"]) >= 64, "HS512 wants as many bytes"
    assert ".env" in (REPO / ".gitignore").read_text().split()


def test_interpolation_is_the_engines() -> None:
    text = "${A:?no A} ${B:-b} ${C} $${A} $$A"

    assert interpolate(text, {"A": "1"}) == "1 b  ${A} $A"


def _dockerfile() -> str:
    return (REPO / "docker/Dockerfile").read_text()
