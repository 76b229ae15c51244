"""docker-compose.yaml as an engine would read it: anchors merged, ${VARIABLES} filled in from .env.example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["COMPOSE", "ENV_EXAMPLE", "REPO", "compose", "env_example", "interpolate"]

REPO = Path(__file__).parents[2]
COMPOSE = REPO / "docker-compose.yaml"
ENV_EXAMPLE = REPO / ".env.example"

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z][A-Z0-9_]*)(?:(?P<how>:[-?])(?P<text>[^{}]*))?\})")


def env_example() -> dict[str, str]:
    """Return what .env.example sets."""
    lines = (line for line in ENV_EXAMPLE.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def compose(environment: dict[str, str]) -> dict[str, Any]:
    """Return the file with its variables filled in; a missing required one is an error, as for the engine."""
    document = YAML(typ="safe", pure=True).load(COMPOSE.read_text())
    filled: dict[str, Any] = interpolate(document, environment)
    return filled


def interpolate(value: Any, environment: dict[str, str]) -> Any:
    """Fill ``${NAME}``, ``${NAME:?message}`` and ``${NAME:-default}`` in every string; ``$$`` is a dollar."""

    def fill(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        found = environment.get(match["name"], "")
        if not found and match["how"] == ":?":
            raise KeyError(f"required variable {match['name']} is missing a value: {match['text']}")
        return found or (match["text"] or "" if match["how"] == ":-" else "")

    if isinstance(value, str):
        return _VARIABLE.sub(fill, value)
    if isinstance(value, dict):
        return {key: interpolate(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, environment) for item in value]
    return value
