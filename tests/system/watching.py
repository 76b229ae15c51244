"""A Dag that is started by what happens outside: our triggers watch over assets in a real triggerer."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import psycopg

from airflow_provider_mlpipe.artifacts import Artifact
from tests import servers
from tests.system.stack import SERVICES, SLOW
from tests.system.world import put

if TYPE_CHECKING:
    from tests.system.stack import Ran, Stack
    from tests.system.world import World

__all__ = ["test_a_file_that_appears_starts_a_run_that_reads_it", "test_rows_that_are_new_start_a_run_that_reads_them"]


def nth(stack: Stack, dag: str, count: int) -> Ran:
    """Return the run that is the so manieth of a Dag, once it is over; and be sure that there is no other."""
    servers.until(lambda: len(stack.runs(dag)) >= count, f"run {count} of {dag}", seconds=SLOW)
    run = stack.over(stack.runs(dag)[count - 1])
    assert run.document["run_type"] == "asset_triggered"
    assert run.states == {"told": "success", "ingest": "success"}
    assert len(stack.runs(dag)) == len(stack.events(dag.replace("on_", "watched_"))) == count
    return run


def test_a_file_that_appears_starts_a_run_that_reads_it(stack: Stack, world: World) -> None:
    stack.watch("on_letters")
    servers.until(lambda: "new objects of source 'letters'" in stack.output("triggerer"), "it watches", seconds=SLOW)
    assert stack.runs("on_letters") == [], "there is nothing yet"

    # Whatever rang twice for the first file would be a run, or an event, too many when the second has been read.
    for count, rows in ((1, 3), (2, 2)):
        file = world.inbox / f"letter-{count}.csv"
        put(file, "letter,weight\n" + "".join(f"{count * 10 + row},{row}.5\n" for row in range(rows)))
        run = nth(stack, "on_letters", count)

        [told] = run.xcom("told")
        assert told["from_trigger"] is True
        assert told["payload"]["found"] == {
            "source": "letters", "location": f"{world.inbox}/*.csv", "objects": 1, "bytes": file.stat().st_size,
            "paths": [str(file)],
        }  # fmt: skip
        read = Artifact.open(run.xcom("ingest")).table()
        assert read["letter"].to_pylist() == [count * 10 + row for row in range(rows)], "of its own file only"


def test_rows_that_are_new_start_a_run_that_reads_them(stack: Stack) -> None:
    with psycopg.connect(stack.environment["SYSTEM_DATABASE"], autocommit=True) as database:
        database.execute("CREATE TABLE sales (sale integer, sold_at timestamptz)")
        stack.watch("on_sales")
        for count, sales in ((1, [1, 2, 3]), (2, [4, 5])):
            insert = "INSERT INTO sales SELECT unnest(%s::integer[]), now() RETURNING sold_at"
            newest = database.execute(insert, [sales]).fetchall()[-1][0]
            run = nth(stack, "on_sales", count)

            [told] = run.xcom("told")
            assert told["payload"]["found"]["newest"] == newest.astimezone(UTC).isoformat()
            read = Artifact.open(run.xcom("ingest")).table()
            assert sorted(read["sale"].to_pylist()) == sales, "and none of those that were read before"
    for service in SERVICES:
        assert servers.PASSWORD not in stack.output(service)
