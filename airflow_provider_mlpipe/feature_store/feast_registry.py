"""Plugged into Feast: a registry file that a reader never finds half written.

Feast loads this module by name (``registry_store_type``); nothing else imports it, because it imports Feast.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from feast.infra.registry.file import FileRegistryStore

from airflow_provider_mlpipe.artifacts.storage import sync_folder

if TYPE_CHECKING:
    from feast.protos.feast.core.Registry_pb2 import Registry

__all__ = ["AtomicFileRegistryStore"]


class AtomicFileRegistryStore(FileRegistryStore):  # type: ignore[misc]  # feast has no types
    """Feast's file registry, replaced by rename: the stock one truncates the file first and leaves it so if killed."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.GetCurrentTime()
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._filepath.with_name(f".{self._filepath.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as stream:
                stream.write(registry_proto.SerializeToString())
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._filepath)
            sync_folder(self._filepath.parent)
        finally:
            temporary.unlink(missing_ok=True)
