"""An HTML document without scripts, with one block of styles whose hash its own policy names."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files

from airflow_provider_mlpipe.reporting.figures import cut
from airflow_provider_mlpipe.reporting.markup import Safe, tag

__all__ = ["digest", "document", "palettes", "policy", "stylesheet"]

_ROOT = re.compile(r":root \{\s*(?:color-scheme: [a-z ]+;)?([^}]*)\}")


@lru_cache(maxsize=1)
def stylesheet() -> str:
    """Return the styles of all pages."""
    return files("airflow_provider_mlpipe.reporting").joinpath("style.css").read_text(encoding="utf-8")


def palettes() -> tuple[str, str]:
    """Return the colours of the styles, light and dark, for a page that is told which of them to take."""
    light, dark = _ROOT.findall(stylesheet())[:2]
    return light.strip(), dark.strip()


def digest(source: str) -> str:
    """Return a block of styles, or a script, as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def policy(style: str) -> str:
    """Return the Content-Security-Policy that lets through these styles and nothing else."""
    return f"default-src 'none'; style-src {digest(style)}; base-uri 'none'; form-action 'none'"


def document(title: str, body: Safe, *, style: str, allowed: str, more: Safe | str = "") -> str:
    """Return the whole document.

    Args:
        title: of the window.
        body: what stands in it.
        style: the one block of styles.
        allowed: the Content-Security-Policy that the document names for itself.
        more: further elements of the head.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=allowed),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        more,
        tag("title", cut(title, 120)),
        Safe(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', body)), lang='en')}\n"
