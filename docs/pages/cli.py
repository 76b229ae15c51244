"""docs/reference/cli.md, from the commands of `mlpipe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer.main

from airflow_provider_mlpipe.cli.application import app
from pages.markdown import code, prose, table

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands", "page"]


def commands() -> dict[str, Any]:
    """Return the commands by name, those of a group with its name; Typer's, whose classes have no public name."""
    return dict(_commands(typer.main.get_command(app), ""))


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - see commands
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def page() -> str:
    """Return the page: per command its use, its help, its arguments and options."""
    group = typer.main.get_command(app)
    overview = [
        (f"[`{name}`](#mlpipe-{name.replace(' ', '-')})", _summary(command)) for name, command in commands().items()
    ]
    return "\n".join(
        [
            "# Command line\n",
            f"{group.help}\n",
            f"{group.epilog}\n",
            table(("Command", "What it does"), overview),
            *(_section(name, command) for name, command in commands().items()),
        ]
    )


def _section(name: str, command: Any) -> str:  # noqa: ANN401 - see commands
    context = command.context_class(command, info_name=f"mlpipe {name}")
    pieces = " ".join(
        piece.replace("{", "").replace("}...", "").replace("}", "") for piece in _pieces(command, context)
    )
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [(code(option), prose(text)) for option, text in filter(None, records)]
    help_text = "\n\n".join(prose(part) for part in (command.help or "").split("\n\n"))
    usage = f"```text\nmlpipe {name} {pieces}\n```\n"
    return f"## mlpipe {name}\n\n{usage}\n{help_text}\n\n" + table(("Argument or option", "Meaning"), rows)


def _pieces(command: Any, context: Any) -> list[str]:  # noqa: ANN401 - see commands
    pieces: list[str] = command.collect_usage_pieces(context)
    return pieces


def _summary(command: Any) -> str:  # noqa: ANN401 - see commands
    return prose((command.help or "").split("\n\n")[0])
