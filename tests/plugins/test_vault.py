"""Which files the API server reads for a page: those that we write, below the artifact root; whatever XCom says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.errors import SourceUnavailableError
from airflow_provider_mlpipe.plugins.reading import Missing, described, drawn, report_file
from airflow_provider_mlpipe.plugins.vault import MAX_BYTES, RefusedError, Vault

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import S3Options

REPORT = "_report.html"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An artifact root with one report, and a secret beside it."""
    folder = tmp_path / "root" / "people" / "raw" / "p"
    folder.mkdir(parents=True)
    (folder / REPORT).write_text("the report")
    for name in ("secret", "root-beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / REPORT).write_text("what nobody may read")
    return tmp_path / "root"


def test_a_report_below_the_root_is_read(root: Path) -> None:
    vault = Vault(str(root))

    assert vault.read(f"{root}/people/raw/p", REPORT) == b"the report"
    assert vault.read(f"file://{root}/people/raw/p/", REPORT) == b"the report"
    assert vault.read(f"{root}/people/raw/p", "_manifest.json") is None
    assert vault.read(f"{root}/never/was", REPORT) is None


def test_a_root_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)

    assert Vault(str(tmp_path / "link")).read(f"{root}/people/raw/p", REPORT) == b"the report"
    assert Vault(str(root)).read(f"{tmp_path}/link/people/raw/p", REPORT) == b"the report"


@pytest.mark.parametrize(
    "address",
    [
        "{root}", "{root}/", "{root}/.", "{root}/../secret", "{root}/people/../../secret", "{root}/people/..",
        "{root}-beside", "{parent}/secret", "/", "/etc", "", "   ", "~", "relative/folder", "file:///etc",
        "file://{root}/%2e%2e/secret", "file://{root}/people/%2E%2E/%2E%2E/secret", "http://127.0.0.1/x",
        "s3://bucket/people/raw/p", "{root}/a\0b", "{root}/a\nb", "{root}\\..\\secret", None, 7, ["{root}/people"],
        {"address": "{root}/people"},
    ],
)  # fmt: skip
def test_any_other_address_is_refused(root: Path, address: object) -> None:
    if isinstance(address, str):
        address = address.format(root=root, parent=root.parent)

    with pytest.raises(RefusedError):
        Vault(str(root)).folder(address)


def test_encoded_dots_in_a_plain_path_are_a_folder_of_that_name(root: Path) -> None:
    vault = Vault(str(root))

    assert vault.read(f"{root}/%2e%2e/secret", REPORT) is None
    (root / "%2e%2e" / "secret").mkdir(parents=True)
    (root / "%2e%2e" / "secret" / REPORT).write_text("an odd name")
    assert vault.read(f"{root}/%2e%2e/secret", REPORT) == b"an odd name"


def test_links_pipes_folders_and_large_files_are_refused(root: Path) -> None:
    for name in ("linked-file", "pipe", "folder", "large"):
        (root / name).mkdir()
    (root / "linked-file" / REPORT).symlink_to(root.parent / "secret" / REPORT)
    (root / "linked-folder").symlink_to(root.parent / "secret")
    os.mkfifo(root / "pipe" / REPORT)
    (root / "folder" / REPORT).mkdir()
    with (root / "large" / REPORT).open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    for name in ("linked-file", "linked-folder", "pipe", "folder", "large"):
        with pytest.raises(RefusedError):
            Vault(str(root)).read(f"{root}/{name}", REPORT)


def test_only_our_files_are_read(root: Path) -> None:
    (root / "people" / "raw" / "p" / "part-0.parquet").write_text("rows")

    for name in ("part-0.parquet", "../p/_report.html", "", "_report.html/.."):
        with pytest.raises(RefusedError):
            Vault(str(root)).read(f"{root}/people/raw/p", name)


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ("s3://lake/mlpipe/people/raw/p", True),
        ("s3://lake/mlpipe/people/raw/p/", True),
        ("s3://lake/mlpipe/%2e%2e/p", True),  # a key of that name
        ("s3://lake/mlpipe", False),
        ("s3://lake/mlpipe/", False),
        ("s3://lake/mlpipe/../other/p", False),
        ("s3://lake/mlpipe/./p", False),
        ("s3://lake/mlpipe//p", False),
        ("s3://lake/mlpipe-beside/p", False),
        ("s3://lake/other/p", False),
        ("s3://elsewhere/mlpipe/p", False),
        ("S3://lake/mlpipe/p", False),
        ("/lake/mlpipe/p", False),
    ],
)
def test_below_a_bucket_s_prefix(address: str, served: bool) -> None:
    vault = Vault("s3://lake/mlpipe")

    if served:
        assert vault.folder(address) == address.rstrip("/")
    else:
        with pytest.raises(RefusedError):
            vault.folder(address)


def test_a_storage_that_cannot_be_reached_is_said_without_its_secrets() -> None:
    def unreachable() -> S3Options:
        raise SourceUnavailableError("connection lake: https://key:hunter2@lake.example refused")

    found = drawn(Vault("s3://lake/mlpipe", unreachable), f"s3://lake/mlpipe/people/raw/p/{REPORT}")

    assert isinstance(found, Missing)
    assert found.status == 502
    assert "lake.example refused" in found.why
    assert "hunter2" not in found.why


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"meta": 1}', '{"meta": {"mlpipe": []}}', '{"meta": {"mlpipe": {"passed": true}}}',
     '{"meta": {"mlpipe": {"dataset": 3, "rules": {}, "counts": []}}}', "[" * 100_000],
)  # fmt: skip
def test_a_verdict_that_we_did_not_write_is_a_page_and_no_failure(root: Path, content: str) -> None:
    place = root / "people" / "raw" / "p"
    (place / "_validation.json").write_text(content)
    (place / "_manifest.json").write_text(content)
    vault = Vault(str(root))

    for found in (drawn(vault, f"{place}/{REPORT}"), described(vault, str(place))):
        assert isinstance(found, Missing)
        assert found.status == 422
    assert report_file(vault, f"{place}/{REPORT}") == b"the report"
