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
    "wrong login": "refused: said so, not worth a retry, and no secret told",
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
        for case in ("refused", "wrong login", "server killed", "TLS")
    },
}

ELSEWHERE: dict[tuple[str, str], str] = {
    ("Postgres", "refused"): "test_failures.test_connecting_fails_with_the_right_kind_and_no_password",
    ("PostgresCursor", "refused"): "test_failures.test_connecting_fails_with_the_right_kind_and_no_password",
    ("Mariadb", "refused"): "test_mysql_types.test_a_refused_connection_is_worth_a_retry",
    ("MariadbCursor", "refused"): "test_mysql_types.test_a_refused_connection_is_worth_a_retry",
    ("Api", "refused"): "test_api.test_refused_connections_and_slow_answers_are_unavailable",
    ("S3", "refused"): "test_files.test_a_bucket_that_refuses_or_is_away",
    ("Postgres", "wrong login"): "test_failures.test_connecting_fails_with_the_right_kind_and_no_password",
    ("PostgresCursor", "wrong login"): "test_failures.test_connecting_fails_with_the_right_kind_and_no_password",
    ("Mariadb", "wrong login"): "test_mysql_types.test_a_wrong_password_is_not",
    ("MariadbCursor", "wrong login"): "test_mysql_types.test_a_wrong_password_is_not",
    ("Api", "wrong login"): "test_api.test_no_secret_in_errors_logs_or_manifest",
    ("S3", "wrong login"): "test_files.test_a_bucket_that_refuses_or_is_away",
    ("Kafka", "wrong login"): "test_kafka_failures.test_a_broker_that_wants_another_way_of_signing_in",
    ("Kafka", "refused"): "test_kafka_failures.test_nobody_at_the_address",
    (
        "Postgres",
        "server killed",
    ): "test_failures.test_a_server_killed_in_the_middle_leaves_nothing_and_is_worth_a_retry",
    (
        "PostgresCursor",
        "server killed",
    ): "test_failures.test_a_server_killed_in_the_middle_leaves_nothing_and_is_worth_a_retry",
    ("Mariadb", "server killed"): "test_mysql_types.test_a_server_that_dies_in_the_middle_publishes_nothing",
    ("MariadbCursor", "server killed"): "test_mysql_types.test_a_server_that_dies_in_the_middle_publishes_nothing",
    ("Api", "server killed"): "test_faults.test_an_endpoint_that_dies_between_two_pages",
    ("S3", "server killed"): "test_faults.test_a_bucket_that_dies_between_two_files",
    ("Kafka", "server killed"): "test_kafka_failures.test_a_broker_that_dies_in_the_middle",
    ("Postgres", "TLS"): "test_tls.test_postgres_of_another_authority_or_name_is_refused",
    ("PostgresCursor", "TLS"): "test_tls.test_postgres_of_another_authority_or_name_is_refused",
    ("Mariadb", "TLS"): "test_tls.test_mariadb_of_another_authority_or_name_is_refused",
    ("MariadbCursor", "TLS"): "test_tls.test_mariadb_of_another_authority_or_name_is_refused",
    ("Api", "TLS"): "test_tls.test_an_endpoint_is_verified_and_another_refused_without_a_retry",
    ("S3", "TLS"): "test_tls.test_a_bucket_is_verified",
    ("Kafka", "TLS"): "test_tls.test_a_broker_is_verified",
}
"""Cells that a test of their own holds: it needs a server to itself, or one that is not there."""

_MODULES = ("test_conformance", "test_faults", "test_kills")
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
    elsewhere = {test for (_, case), test in ELSEWHERE.items() if case == name}
    for test in elsewhere:
        module, _, function = test.partition(".")
        assert callable(getattr(import_module(f"tests.ingestion.{module}"), function)), test
    return sorted({*_TESTS.get(name, []), *elsewhere})


def held(kind: str, name: str) -> bool:
    """Return whether a test holds a promise for a source."""
    return (kind, name) in ELSEWHERE or (name in _TESTS and (kind, name) not in EXEMPT)


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
            tests_of(name)
            tested = "ok" if held(kind.__name__, name) else ""
            cells.append(tested if reason is None else f"({_letter(reasons, reason)})")
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
