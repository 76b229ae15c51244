"""What goes wrong around a read: a disk that fills, a server that is gone in the middle.

Refused connections, and the death of a database's server, are in the tests of each database: `cells` names them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.config import ApiSource
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, PublishError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection, deduplication
from airflow_provider_mlpipe.ingestion.pipeline import transfer
from airflow_provider_mlpipe.ingestion.rest.reader import ApiReader
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from airflow_provider_mlpipe.run import Run
from tests import servers
from tests.ingestion.cells import promise
from tests.ingestion.places import S3, Row, contents, expected, take
from tests.ingestion.support import DAY, counts, read
from tests.servers import PASSWORD, Answer, Request, json_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingestion.places import Place

ROWS = 1500
SIZE = 4 * 2**20
LEFT = 64 * 2**10
LATEST = {"keys": ["id"], "order_by": ["at"]}


@contextmanager
def small_disk(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """Mount a file system of 4 MB, or another size."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, left: int = LEFT) -> Path:
    """Leave a little room, and return the file that takes the rest."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(file.tell() - left)
    return filler


def large() -> list[Row]:
    """Rows that cannot be packed into what is left."""
    return [(number, os.urandom(400).hex(), 0.5, "2026-01-13 03:00:00") for number in range(ROWS)]


@pytest.mark.slow
@promise("disk full")
def test_a_disk_that_is_full_changes_nothing_and_leaves_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = large()
    source = place.source(content)
    with small_disk(tmp_path / "disk") as disk:
        # The artifacts there: while a new one is written, the old one stays.
        root = Storage(f"{disk}/artifacts")
        before = take(source, root)
        filler = fill(disk)
        with pytest.raises(PublishError, match="could not publish .*(No space left|Errno 28)") as caught:
            take(source, root)
        assert "Make room" in caught.value.hint
        assert Artifact.open(before.uri).fingerprint == before.fingerprint
        folder = disk / f"artifacts/things/raw/{DAY.partition}"
        kept = {"_manifest.json", *(part.name for part in before.manifest.parts)}
        assert {path.name for path in folder.iterdir()} - {"_offsets.json"} == kept
        filler.unlink()
        again = take(source, root)
        assert contents(again) == expected(content)
        assert again.fingerprint == before.fingerprint

        # The temporary files there.
        for path in (disk / "artifacts").rglob("*"):
            if path.is_file():
                path.unlink()
        monkeypatch.setenv("TMPDIR", str(disk))
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setattr(deduplication, "BATCH_ROWS", 200)
        filler = fill(disk)
        elsewhere = Storage(str(tmp_path / "elsewhere"))
        with pytest.raises(PublishError, match=f"no room for temporary files in {disk}: .*No space left") as caught:
            take(source, elsewhere, deduplicate=LATEST)
        assert "set TMPDIR" in caught.value.hint
        assert [path.name for path in disk.iterdir() if path.name != "artifacts"] == ["filler"]
        with pytest.raises(ArtifactNotFoundError):
            Artifact.open(f"{elsewhere.uri}/things/raw/{DAY.partition}")
        filler.unlink()
        artifact = take(source, elsewhere, deduplicate=LATEST)
        assert contents(artifact) == expected(content)
        assert counts(artifact) == (ROWS, ROWS, 0, 0)
        assert [path.name for path in disk.iterdir()] == ["artifacts"]


def test_no_room_for_the_first_byte(tmp_path: Path) -> None:
    """Not even the head of a part stays."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    source = {"type": "file", "path": str(tmp_path / "t.csv")}
    with small_disk(tmp_path / "disk") as disk:
        fill(disk, left=0)
        with pytest.raises(PublishError):
            read(source, Storage(f"{disk}/artifacts"))
        assert not list(disk.rglob("part-*"))


@pytest.mark.slow
def test_a_bucket_without_room(tmp_path: Path) -> None:
    """The artifacts there: what was published stays, of what was not nothing is to be seen."""
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},{os.urandom(500).hex()}\n" for n in range(20_000)))
    source = {"type": "file", "path": str(tmp_path / "t.csv")}
    with small_disk(tmp_path / "disk", 64 * 2**20) as disk, servers.s3(folder=str(disk)) as bucket:
        root = Storage(f"{bucket.uri}/lake", bucket.options)
        published: list[Artifact] = []
        with pytest.raises(PublishError, match="could not publish s3://lake/lake/things/raw/") as caught:
            published.extend(read(source, root, Run(run_id=f"r{number}")) for number in range(10))
        assert PASSWORD not in str(caught.value)
        assert published
        assert [artifact.table().num_rows for artifact in published] == [20_000] * len(published)
        assert root.below(f"things/raw/run-r{len(published)}").names() == {}


# ------------------------------------------------------------------ gone in the middle


def test_an_endpoint_that_dies_between_two_pages(root: Storage) -> None:
    def answer(request: Request) -> Any:
        page = int(request.query.get("page", "0"))
        return Answer(status=0) if page == 3 else {"items": [{"id": page}], "next": page + 1}

    keys = {"data_key": "items", "next_key": "next", "next_param": "page", "max_retries": 0}
    with json_api({"/": answer}) as api, pytest.raises(SourceUnavailableError, match="is not available"):
        read({"type": "api", "url": f"{api.url}/", **keys}, root)
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/{DAY.partition}")


def test_a_storm_of_429_loses_and_doubles_nothing(root: Storage) -> None:
    """Two of three answers ask to come back later, whichever page that is."""
    asked = 0

    def answer(request: Request) -> Any:
        nonlocal asked
        asked += 1
        if asked % 3:
            return Answer("<html>slow down</html>", 429, {"Retry-After": "0"})
        page = int(request.query.get("page", "0"))
        return {"items": [{"id": page * 10 + number} for number in range(10)], "next": page + 1 if page < 29 else None}

    keys = {"data_key": "items", "next_key": "next", "next_param": "page", "max_retries": 2}
    with json_api({"/": answer}) as api:
        configured = config.source({"type": "api", "url": f"{api.url}/", **keys}, "things")
        assert isinstance(configured.model, ApiSource)
        reader = ApiReader(configured, configured.model, Connection(), run=DAY, sleep=lambda _: None)
        artifact = transfer(configured, reader, ArtifactTarget(root=root, source=configured, run=DAY))
    assert sorted(row["id"] for row in contents(artifact)) == list(range(300))
    assert counts(artifact) == (300, 300, 0, 0)
    assert artifact.manifest.metrics["retries"] == 60


@pytest.mark.slow
def test_a_bucket_that_dies_between_two_files(root: Storage, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ExitStack() as own:
        bucket = own.enter_context(servers.s3())

        class Own(S3):
            def source(self, content: Any, *_: Any) -> dict[str, Any]:
                self.request = _Given(bucket)  # type: ignore[assignment] # all that it asks for
                return super().source(content)

        source = Own(request, tmp_path, own).source(large())

        def kill(_: int) -> None:
            own.close()

        with pytest.raises(SourceUnavailableError):
            take(source, root, progress=kill, batch_size=100)
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/{DAY.partition}")


class _Given:
    def __init__(self, value: Any) -> None:
        self._value = value

    def getfixturevalue(self, _: str) -> Any:
        return self._value
