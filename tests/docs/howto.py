"""The pages of docs/how-to, and what stands in their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["FOLDER", "blocks", "inline", "page", "sources"]

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"


def page(name: str) -> str:
    """Return the text of a page, named without ``.md``."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def inline(text: str) -> Any:
    """Return what a piece of YAML says."""
    return YAML(typ="safe").load(text)


def sources(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return name and body of every source in the YAML blocks."""
    return [item for block in blocks(text, "yaml") for item in inline(block)["sources"].items()]
