"""``mlpipe``: the stages from a terminal, without Airflow."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run ``mlpipe`` with the arguments of the process, and leave with its exit code."""
    from airflow_provider_mlpipe.cli.application import command_line

    raise SystemExit(command_line())
