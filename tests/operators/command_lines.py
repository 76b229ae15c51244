"""Run several ``airflow ...`` command lines in one process, and write down how each ended and what it wrote.

Not a test: `tests.operators` start it. Airflow takes seconds to come up, a command next to nothing.

Usage: ``python command_lines.py OUTPUT.json COMMANDS``, the latter a list of lists of arguments, as JSON. They run in the
folder of the output.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def main(output: str, commands: str) -> None:
    """Run the commands in the order given."""
    os.chdir(Path(output).parent)
    from airflow import configuration  # noqa: F401 - Airflow's own entry point has it come first
    from airflow.cli import cli_parser
    from airflow.sdk.execution_time import supervisor

    # Before 3.3 `airflow dags test` makes an API of its own for every task, which takes seconds.
    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)
    ended = []
    for arguments in json.loads(commands):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                parsed = cli_parser.get_parser().parse_args(arguments)
                parsed.func(parsed)
                code: object = 0
            except SystemExit as end:
                code = end.code or 0
        ended.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
    Path(output).write_text(json.dumps(ended), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
