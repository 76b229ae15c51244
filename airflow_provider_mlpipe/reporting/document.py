"""An HTML document without scripts, with one block of styles whose hash its own policy names."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files

from airflow_provider_mlpipe.reporting.figures import cut
from airflow_provider_mlpipe.reporting.markup import Safe, tag

__all__ = ["document", "policy", "stylesheet"]


@lru_cache(maxsize=1)
def stylesheet() -> str:
    """Return the styles of all pages."""
    return files("airflow_provider_mlpipe.reporting").joinpath("style.css").read_text(encoding="utf-8")


def policy(style: str) -> str:
    """Return the Content-Security-Policy that lets through these styles and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


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
