"""MySQL and MariaDB: connectorx to Arrow where it is safe, else a cursor; the same values by either way."""

from __future__ import annotations

__all__: list[str] = []
