"""The commands put together, and what becomes of their errors.

Exit codes: 0 good, 1 data rejected, 2 wrong use or configuration, 3 a source or store failed, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from airflow_provider_mlpipe import __version__
from airflow_provider_mlpipe.cli import (
    configuration,
    feast,
    features,
    inspection,
    online,
    profiling,
    stages,
    suites,
    training,
    whole,
)
from airflow_provider_mlpipe.cli.results import Results
from airflow_provider_mlpipe.cli.surroundings import Surroundings, within
from airflow_provider_mlpipe.engines.interruption import signals_interrupt
from airflow_provider_mlpipe.errors import MlpipeError, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "command_line"]

FAILED = 3
INTERRUPTED = 130

_USAGE_ERROR: Any = typer.BadParameter.__base__
"""The base of what Typer says about wrong arguments; it has no public name of its own."""

app = typer.Typer(
    name="mlpipe",
    help="From databases, APIs and files to validated features served by Feast.",
    epilog="Exit codes: 0 good, 1 data rejected, 2 wrong use or configuration, 3 a source or store failed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (configuration, stages, profiling, suites, inspection, online, features, feast, training, whole):
    room.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mlpipe {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    *,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """From databases, APIs and files to validated features served by Feast."""


def command_line(arguments: Sequence[str] | None = None, surroundings: Surroundings | None = None) -> int:
    """Run one command and return the exit code.

    Args:
        arguments: those of the process if None.
        surroundings: where it runs; in a shell if None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = os.environ.get("MLPIPE_DEBUG", "") not in {"", "0"}
    _set_volume(debug=debug)
    try:
        with signals_interrupt({signal.SIGINT}), within(surroundings or Surroundings()) as place:
            code = app(given or ["--help"], prog_name=place.program, standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told below; the traceback is a switch away
        if debug:
            traceback.print_exc()
        failure = _failure(error)
        failure.tell(as_json="--json" in given)
        return failure.exits
    if code == INTERRUPTED:  # Typer has caught the interrupt itself
        _failure(KeyboardInterrupt()).tell(as_json="--json" in given)
    return code if isinstance(code, int) else 0


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """An error as a user sees it."""

    facts: dict[str, Any]
    text: str
    hint: str = ""
    exits: int = FAILED

    def tell(self, *, as_json: bool) -> None:
        """Write it: as JSON to stdout for machines, else as text to stderr."""
        if as_json:
            Results(sys.stdout, as_json=True).emit({"error": self.facts}, lambda _console: None)
        else:
            hinted = f"\nHint: {self.hint}" if self.hint else ""
            sys.stderr.write(f"error: {self.text}{hinted}\n")


def _failure(error: BaseException) -> _Failure:
    if isinstance(error, MlpipeError):
        return _Failure(facts=error.as_dict(), text=error.message, hint=error.hint, exits=error.exit_code)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        code, text, hint, exits = "interrupted", "Interrupted. Nothing half done was published.", "", INTERRUPTED
    elif isinstance(error, _USAGE_ERROR):
        code, text, hint, exits = "usage", error.format_message() or "a command is missing.", _help_hint(error), 2
    else:
        code, text, exits = "unexpected", f"{type(error).__name__}: {redact(str(error))}", FAILED
        hint = "This is not foreseen. MLPIPE_DEBUG=1 shows the traceback."
    return _Failure(facts={"code": code, "message": text, "hint": hint}, text=text, hint=hint, exits=exits)


def _help_hint(error: Any) -> str:  # noqa: ANN401 - see _USAGE_ERROR
    path = error.ctx.command_path if getattr(error, "ctx", None) else "mlpipe"
    return f"{path} --help shows how it is used."


def _set_volume(*, debug: bool) -> None:
    """Let people see our warnings, and keep the chatter of libraries from them unless they ask."""
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("airflow_provider_mlpipe").setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
