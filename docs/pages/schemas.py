"""airflow_provider_mlpipe/config/schemas/*.json: the JSON Schemas of the YAML files, for editors."""

from __future__ import annotations

import json

from airflow_provider_mlpipe.config.schemas import KINDS, json_schema

__all__ = ["FOLDER", "files"]

FOLDER = "airflow_provider_mlpipe/config/schemas"


def files() -> dict[str, str]:
    """Return the content of every schema, by its path in the repository."""
    return {f"{FOLDER}/{kind}.json": json.dumps(json_schema(kind), indent=2) + "\n" for kind in KINDS}
