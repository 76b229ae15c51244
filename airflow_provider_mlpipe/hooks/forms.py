"""What Airflow draws the forms of our connection types from. Imports nothing: every `airflow` command reads it."""

from __future__ import annotations

from typing import Any

__all__ = ["FEAST"]


def _field(label: str, description: str, kind: str = "string", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    # Without "null" the form calls the field required, and will not save.
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **more}}


FEAST: dict[str, Any] = {
    "connection-type": "feast",
    "hook-class-name": "airflow_provider_mlpipe.hooks.feast.FeastHook",
    "hook-name": "Feast",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "login", "port"],
        "relabeling": {"password": "Online store's password"},
        "placeholders": {"password": "leave empty if the online store wants none"},
    },
    "conn-fields": {
        "project": _field("Project", "Feast's project, the prefix of all it stores; mlpipe if empty."),
        "registry": _field(
            "Registry",
            "A SQLAlchemy URL (postgresql://user@host/feast) or a local path; below the artifact root if empty.",
        ),
        "registry_password": _field("Registry's password", "The password of the registry's URL.", format="password"),
        "online_type": _field(
            "Online store's type",
            "As Feast calls it: sqlite, redis, postgres, dynamodb ... Told by a URL; sqlite if all is empty.",
        ),
        "online_connection": _field(
            "Online store's address",
            "host:port or redis://host:6379/0 for Redis, postgresql://user@host/db for PostgreSQL, a path for SQLite.",
        ),
        "online_settings": _field(
            "Online store's settings",
            'Feast\'s settings of this online store, as JSON: {"region": "eu-west-1"}. They go before the address.',
            format="multiline",
        ),
        "repo": _field(
            "Repository", "The folder of an existing Feast repository, in place of registry, project and online store."
        ),
        "read_back": _field("Read back", "How many entities to compare after writing; 100 if empty.", "integer"),
    },
}
"""The connection type ``feast``."""
