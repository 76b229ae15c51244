"""The reference pages say all that the code says, and the generator notices when they do not."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_mlpipe import errors
from airflow_provider_mlpipe.observability import REGISTRY

REPO = Path(__file__).parents[2]
REFERENCE = REPO / "docs/reference"
SCHEMAS = "airflow_provider_mlpipe/config/schemas"
"""Generated too, outside of docs/."""

sys.path.insert(0, str(REPO / "docs"))

from pages import cli, configuration, features  # noqa: E402 - the generator is a script, not part of the package

CODES = sorted(
    kind.code for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.MlpipeError)
)
KEYS = sorted({(model, key) for model, found in configuration.keys().items() for key in found})


def generate(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repo / "docs/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def cells(page: str) -> set[str]:
    """Return the first cell of every table row of a page."""
    lines = (REFERENCE / page).read_text().splitlines()
    return {line.split("|")[1].strip(" `") for line in lines if line.startswith("| `")}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the generator reads and writes, where it may be damaged."""
    shutil.copytree(REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPO / SCHEMAS, tmp_path / SCHEMAS)
    return tmp_path


def test_every_generated_file_is_in_step_with_the_code() -> None:
    result = generate(REPO, "--check")

    assert result.returncode == 0, result.stderr


def test_a_stale_and_a_missing_page_are_named_and_then_repaired(copy: Path) -> None:
    metrics, errors_page = copy / "docs/reference/metrics.md", copy / "docs/reference/errors.md"
    before = metrics.read_text()
    metrics.write_text(before.replace("rows", "cows"))
    errors_page.unlink()
    (copy / SCHEMAS / "features.json").write_text("{}")

    checked = generate(copy, "--check")

    assert checked.returncode == 1
    assert "docs/reference/metrics.md is not in step" in checked.stderr
    assert "docs/reference/errors.md is not in step" in checked.stderr
    assert f"{SCHEMAS}/features.json is not in step" in checked.stderr
    assert "configuration.md" not in checked.stderr
    assert not errors_page.exists(), "--check writes nothing"

    assert generate(copy).returncode == 0
    assert metrics.read_text() == before
    assert generate(copy, "--check").returncode == 0


def test_every_metric_is_described() -> None:
    assert cells("metrics.md") == set(REGISTRY)


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_is_described(code: str) -> None:
    assert code in cells("errors.md")


@pytest.mark.parametrize(("model", "key"), KEYS)
def test_every_configuration_key_is_described(model: str, key: str) -> None:
    section = (REFERENCE / "configuration.md").read_text().split(f"### {model}\n")[1].split("\n#")[0]
    [line] = [line for line in section.splitlines() if line.startswith(f"| `{key}` |")]
    *_, meaning, _ = (cell.strip() for cell in line.replace("\\|", "").split("|"))

    assert len(meaning) > 3


def test_keys_are_those_that_a_user_writes() -> None:
    """The seed's key ``schema`` has another name in the model."""
    assert ("DatasetRules", "schema") in KEYS
    assert ("DatasetRules", "columns") not in KEYS


def test_links_inside_the_pages_lead_somewhere() -> None:
    text = (REFERENCE / "configuration.md").read_text()
    headings = {line.strip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    links = {part.split(")")[0] for part in text.split("](#")[1:]}

    assert links
    assert links <= headings


@pytest.mark.parametrize("name", sorted(cli.commands()))
def test_every_command_and_option_is_described(name: str) -> None:
    text = (REFERENCE / "cli.md").read_text()
    section = text.split(f"## mlpipe {name}\n")[1].split("\n## ")[0]

    assert f"| [`{name}`](#mlpipe-{name.replace(' ', '-')}) |" in text
    for parameter in cli.commands()[name].params:
        for option in parameter.opts:
            shown = f"`{option}" in section or f", {option}" in section
            assert shown or parameter.param_type_name == "argument", option
    for line in section.splitlines():
        if line.startswith("| `"):
            assert line.rstrip("| ").rpartition("|")[2].strip(), f"no help: {line}"


@pytest.mark.parametrize("entity", sorted(features.DOMAINS))
def test_every_feature_of_the_catalog_is_described(entity: str) -> None:
    text = (REFERENCE / "features.md").read_text()
    offered = features.offered(entity).features

    assert offered
    for feature in offered:
        section = text.split(f"### {feature.name}\n")[1].split("\n#")[0]
        for fact in ("Unit", "Range", "Formula"):
            assert f"- {fact}: " in section, feature.name
