"""The offline data: one parquet file per interval of a view, for training sets and any other reader of the past.

Artifacts themselves are no place to read by a pattern: parts of killed attempts may lie among those that count. So each
interval's rows become one file in a folder of their own, ``_feast/offline/<view>/<partition>.parquet``, replaced as a
whole: a rerun replaces, it never doubles, and every file there counts.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.feature_store.settings import FOLDER

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

__all__ = ["OfflineData"]


@dataclass(frozen=True)
class OfflineData:
    """The offline data of one view."""

    root: Storage
    view: str

    @property
    def place(self) -> Storage:
        """The folder."""
        return self.root.below(f"{FOLDER}/offline/{self.view}")

    @property
    def pattern(self) -> str:
        """All its files, as Feast's FileSource names them."""
        base = self.place.root if self.root.is_local else self.place.uri
        return f"{base}/*.parquet"

    def files(self) -> list[str]:
        """Return the names of its files, in order; none if nothing was published."""
        return sorted(name for name in self.place.names() if name.endswith(".parquet") and not name.startswith("."))

    def publish(self, artifact: Artifact, *, partition: str = "") -> str:
        """Make the artifact's rows those of its interval, in one step, and return the file's name.

        Args:
            artifact: the rows.
            partition: what to replace; the artifact's own interval unless given.
        """
        name = f"{partition or artifact.manifest.partition}.parquet"
        # Not *.parquet, so that nobody reads it before it is complete, whatever happens here.
        temporary = f".{name}.{uuid.uuid4().hex}"
        self.place.make_folder()
        for left in self.place.names():
            if left.startswith(f".{name}."):  # by a process that was killed; the caller holds the lock
                self.place.delete(left)
        artifact.check_parts()
        with self.place.publishing(name):
            try:
                source = self._whole(artifact, temporary)
                if self.root.is_local:
                    Path(source).replace(self.place.path(name))
                else:
                    # The server copies, and the object appears as a whole.
                    self.place.filesystem.copy_file(source, self.place.path(name))
            finally:
                self.place.delete(temporary)
        return name

    def _whole(self, artifact: Artifact, temporary: str) -> str:
        """Return the path of one file with all rows: in a bucket the artifact's only part, else one made here."""
        if len(artifact.paths) == 1 and artifact.place.is_local and self.root.is_local:
            _link(artifact.paths[0], self.place.path(temporary))
        elif len(artifact.paths) == 1 and not self.root.is_local and artifact.place.options == self.root.options:
            return artifact.paths[0]
        else:
            _write(artifact, self.place, temporary)
        return self.place.path(temporary)


def _link(source: str, target: str) -> None:
    """Give the file a second name, which costs no space; parts are never written to again. Copy where that fails."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write(artifact: Artifact, place: Storage, name: str) -> None:
    """Stream the parts into one file."""
    import pyarrow.parquet as pq

    with (
        place.filesystem.open_output_stream(place.path(name)) as stream,
        pq.ParquetWriter(stream, artifact.schema, compression="zstd", compression_level=1) as writer,
    ):
        for batch in artifact.batches():
            writer.write_batch(batch)
