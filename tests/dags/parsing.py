"""What it costs to parse each example Dag beyond Airflow itself: ``python tests/dags/parsing.py [--runs N] [FILE ...]``.

Not a test; `test_parsing` starts it and looks at the modules. Airflow is what is there before the file is read: what
any Dag with intervals, a mapped task and a ``@task`` imports, and the ``airflow.*`` modules that the file names, other
providers' among them. (Those named at its top level the Dag processor imports once for all its children.) The rest is
the file, and what this package brings. Each file is parsed in a process of its own; CPU milliseconds, the median of the
runs.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import resource
import runpy
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

STANDARD = sys.stdlib_module_names
DAGS = Path(__file__).resolve().parents[2] / "dags"


def cpu_ms() -> float:
    """Return the CPU time of this process so far, in milliseconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


def named(file: str) -> list[str]:
    """Return the modules of Airflow and of its providers that a Dag file imports from."""
    nodes = [node for node in ast.walk(ast.parse(Path(file).read_bytes())) if isinstance(node, ast.ImportFrom)]
    return [node.module for node in nodes if node.module and node.module.startswith("airflow.")]


def parsed(file: str) -> dict[str, Any]:
    """Parse a Dag file in this process, and return what it cost, and what came with it: modules of ours, other libraries."""
    from airflow.sdk import DAG, BaseOperator, task
    from airflow.timetables.interval import CronDataIntervalTimetable

    class Each(BaseOperator):
        def __init__(self, *, number: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.number = number

    @task
    def numbers() -> list[int]:
        return [1, 2]

    with DAG("plain", schedule=CronDataIntervalTimetable("@daily", timezone="UTC")):
        Each.partial(task_id="each").expand(number=numbers())
    plain = cpu_ms()
    for module in named(file):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    before, modules = cpu_ms(), set(sys.modules)
    found = runpy.run_path(file).values()
    after = cpu_ms()
    return {
        "airflow_ms": before - plain,
        "ours_ms": after - before,
        "libraries": sorted({name.partition(".")[0] for name in set(sys.modules) - modules} - {*modules, *STANDARD}),
        "modules": sorted(name for name in sys.modules if name.startswith("airflow_provider_mlpipe.")),
        "tasks": {value.dag_id: len(value.tasks) for value in found if isinstance(value, DAG)},
    }


def measured(file: Path, runs: int) -> tuple[float, float, int]:
    """Return the medians, and how many modules of this package the file needs."""
    answers = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(file)], capture_output=True, text=True, check=True
        )
        answers.append(json.loads(done.stdout.rpartition("PARSED ")[2]))
    airflow_ms, ours_ms = (statistics.median(each[key] for each in answers) for key in ("airflow_ms", "ours_ms"))
    return airflow_ms, ours_ms, len(answers[0]["modules"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, default=sorted(DAGS.glob("*.py")), metavar="FILE")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print("PARSED", json.dumps(parsed(given.child)))
        return
    print(
        "| Dag file | Airflow and providers, ms | the file and what is ours, ms | modules of ours |\n|---|--:|--:|--:|"
    )
    for file in given.files:
        airflow_ms, ours_ms, modules = measured(file, given.runs)
        print(f"| `{file.stem}` | {airflow_ms:.0f} | {ours_ms:.0f} | {modules} |", flush=True)


if __name__ == "__main__":
    main()
