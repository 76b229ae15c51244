"""The table of sources and promises: which test holds which promise for which source, and why if none does.

A test that keeps a promise for every source is marked with `promise`, which runs it once per source. Which cells are
left out, and why, stands here and nowhere else. `python -m tests.ingestion.cells` writes the table of CONFORMANCE.md.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ingestion.places import PLACES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROMISES", "promise", "table", "tests_of"]

PROMISES = {
    "empty": "no rows still give an artifact, with the columns that are known",
    "one row": "arrives",
    "nulls, unicode": "nulls, any text, microseconds arrive unchanged",
    "many batches": "all rows arrive, in bounded pieces, and progress is told",
    "wide": "400 columns",
    "types": "columns are mapped, added, missed by name",
    "window": "an incremental window is half-open; rows without a time follow `on_null`",
    "duplicates": "one row per key, always the same one",
    "retry": "a failed try leaves nothing, the next gives every row once, and so does one more",
    "resume": "a run reads what came since the one before, also if it failed in between",
    "kill": "SIGKILL at random moments: the old artifact or none, then every row once, and nothing left over",
    "disk full": "while writing and while spooling: said so, nothing changed, and the next try works",
    "refused": "nobody listens: said so, worth a retry",
    "server killed": "in the middle of a read: said so, worth a retry, nothing published",
    "TLS": "a server of a private authority: verified, refused without it",
}

_NO_SERVER = ("Sqlite", "SqliteQuery", "Driver", "JsonLines", "Csv", "Parquet", "DltRecords", "DltTables")
_FILE = "reads a file here: there is no server"
_RESOURCE = "the resource connects by itself, as it likes"

EXEMPT: dict[tuple[str, str], str] = {
    ("Kafka", "window"): "offsets decide what is read; `end: interval` is in test_kafka_offsets",
    **{
        (name, case): _RESOURCE if name.startswith("Dlt") else _FILE
        for name in _NO_SERVER
        for case in ("refused", "server killed", "TLS")
    },
}

_MODULES = ("test_conformance",)
_TESTS: dict[str, list[str]] = {}


def promise(name: str) -> Callable[[Any], Any]:
    """Run a test once per source that can keep the promise; it asks for `place`."""
    assert name in PROMISES

    def marked(test: Any) -> Any:
        found = f"{test.__module__.rpartition('.')[2]}.{test.__name__}"
        _TESTS.setdefault(name, []).append(found)
        kinds = [kind for kind in PLACES if (kind.__name__, name) not in EXEMPT]
        return pytest.mark.parametrize("place", kinds, ids=lambda kind: kind.__name__, indirect=True)(test)

    return marked


def tests_of(name: str) -> list[str]:
    """Return the tests that hold a promise."""
    for module in _MODULES:
        import_module(f"tests.ingestion.{module}")
    return sorted(set(_TESTS.get(name, [])))


def table() -> str:
    """Return the table in Markdown."""
    reasons = list(dict.fromkeys(EXEMPT.values()))
    lines = [
        "# What every source keeps",
        "",
        "Made by `python -m tests.ingestion.cells`; a test holds it to the code. A tick is a test that runs for that",
        "source, against a real server where there is one; a letter says why there can be none.",
        "",
        f"| | {' | '.join(PROMISES)} |",
        f"|---|{'---|' * len(PROMISES)}",
    ]
    for kind in PLACES:
        cells = []
        for name in PROMISES:
            reason = EXEMPT.get((kind.__name__, name))
            cells.append("ok" if reason is None else f"({_letter(reasons, reason)})")
        server = f" ({kind.server})" if kind.server else ""
        lines.append(f"| {kind.__name__}{server} | {' | '.join(cells)} |")
    lines += ["", *(f"- ({_letter(reasons, reason)}) {reason}" for reason in reasons), ""]
    lines += ["| promise | what it says | tests |", "|---|---|---|"]
    for name, said in PROMISES.items():
        lines.append(f"| {name} | {said} | {', '.join(f'`{found}`' for found in tests_of(name))} |")
    lines += ["", "| source | what it is |", "|---|---|"]
    lines += [f"| {kind.__name__} | {(kind.__doc__ or '').strip()} |" for kind in PLACES]
    return "\n".join([*lines, ""])


def _letter(reasons: list[str], reason: str) -> str:
    return "abcdefgh"[reasons.index(reason)]


PAGE = Path(__file__).with_name("CONFORMANCE.md")

if __name__ == "__main__":
    from tests.ingestion import cells  # the same module that the tests mark themselves in

    PAGE.write_text(cells.table())
