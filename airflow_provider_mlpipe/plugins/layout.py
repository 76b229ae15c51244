"""The frame of every page: its head, its way back, its notices; and the answer that goes out with it.

Links stay inside: Airflow shows the pages in a frame that may not open windows. The one script takes over the theme
that Airflow's UI was switched to, which a frame does not learn from the browser; the policy names it by its hash, and
lets no other run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.reporting.document import digest, document, palettes, policy, stylesheet
from airflow_provider_mlpipe.reporting.figures import cut
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEADERS", "REPORT_POLICY", "Page", "chip", "crumbs", "empty", "link", "notice", "tile"]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
"""Of every answer."""

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""Of a report that is served as the file that it is: its own, stricter policy holds as well."""

RELOAD_SECONDS = 10

THEME = (
    "const take=()=>{try{const theme=localStorage.getItem('theme');"
    "document.documentElement.dataset.theme=theme==='dark'||theme==='light'?theme:''}catch{}};"
    "take();addEventListener('storage',take)"
)
"""Airflow's UI keeps its theme there, or ``system`` for that of the browser."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, ready to be sent.

    Attributes:
        title: of the window.
        body: its content.
        status: of HTTP.
        reload: whether to ask again in a while, as long as a task is at work.
    """

    title: str
    body: Safe
    status: int = 200
    reload: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with it."""
        return HEADERS | {"Content-Security-Policy": f"{_policy()}; frame-ancestors 'self'"}

    def html(self) -> str:
        """Return the document."""
        again = tag("meta", http_equiv="refresh", content=RELOAD_SECONDS) if self.reload else ""
        more = join(again, Safe(f"<script>{THEME}</script>"))
        return document(self.title, self.body, style=_style(), allowed=_policy(), more=more)


@lru_cache(maxsize=1)
def _style() -> str:
    own = files("airflow_provider_mlpipe.plugins").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = palettes()
    told = "\n".join(
        f':root[data-theme="{name}"] {{ color-scheme: {name}; {colours} }}'
        for name, colours in (("light", light), ("dark", dark))
    )
    return f"{stylesheet()}\n@media screen {{\n{told}\n}}\n{own}"


def _policy() -> str:
    return f"{policy(_style())}; script-src {digest(THEME)}"


def crumbs(*steps: tuple[str, str]) -> Safe:
    """Return the way back.

    Args:
        steps: text and address of each; the last one is where we are, and has none.
    """
    items = [
        tag("li", link(text, address)) if address else tag("li", cut(text, 120), aria_current="page")
        for text, address in steps
    ]
    return tag("nav", tag("ol", *items), class_="crumbs", aria_label="Breadcrumb")


def link(text: str, address: str, *, class_: str | None = None, **more: str) -> Safe:
    """Return a link to a page of ours."""
    return tag("a", cut(text, 120), href=address, class_=class_, **more)


def chip(text: str, kind: str) -> Safe:
    """Return a word on a coloured ground."""
    return tag("span", text, class_=f"chip {kind}")


def notice(kind: str, headline: str, *sentences: str) -> Safe:
    """Return a card that says what to know before reading on; what stands in backticks is code."""
    said = [tag("p", prose(cut(sentence, 800))) for sentence in sentences if sentence]
    return tag("section", tag("h2", headline), *said, class_=f"card notice {kind}", role="note")


def empty(headline: str, sentences: Sequence[str], *more: Safe) -> Safe:
    """Return a card for a page that has nothing to show, and says what would be here."""
    said = [tag("p", prose(cut(sentence, 800)), class_="quiet") for sentence in sentences]
    return tag("section", tag("h1", headline), join(*said), *more, class_="card empty")


def tile(name: str, value: str, detail: str) -> Safe:
    """Return one fact."""
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", detail), class_="card")
