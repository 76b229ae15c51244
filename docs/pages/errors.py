"""docs/reference/errors.md, from the exception tree."""

from __future__ import annotations

import inspect
from textwrap import dedent

from airflow_provider_mlpipe import errors
from pages.markdown import code, prose, table

__all__ = ["classes", "page"]

EXIT_CODES = {
    0: "good",
    1: "data rejected: the rules or the gate said no",
    2: "wrong use or configuration",
    3: "a source, the storage or the feature store failed",
}


def classes() -> list[type[errors.MlpipeError]]:
    """Return every exception class, in the order in which the module defines them."""
    return [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.MlpipeError) and kind.__module__ == errors.__name__
    ]


def page() -> str:
    """Return the page: the tree as drawn in the module, then a table."""
    summary, _, rest = dedent(errors.__doc__ or "").strip().partition("\n\n")
    tree, _, meaning = rest.partition("\n\n")
    rows = [
        (code(kind.code), code(kind.__name__), str(kind.exit_code), _retry(kind), prose(_first_line(kind)))
        for kind in classes()
    ]
    return "\n".join(
        [
            "# Errors\n",
            f"{prose(summary)}\n",
            f"```text\n{tree}\n```\n",
            f"{prose(meaning)}\n",
            "## Codes\n",
            "`code` is stable: it stands in `mlpipe --json` and in logs. Retry: whether Airflow's retries apply.\n",
            table(("Code", "Class", "Exit code", "Retry", "Meaning"), rows),
            "## Exit codes of `mlpipe`\n",
            table(("Exit code", "Meaning"), [(str(number), text) for number, text in EXIT_CODES.items()]),
        ]
    )


def _retry(kind: type[errors.MlpipeError]) -> str:
    return "no" if issubclass(kind, errors.Terminal) else "yes"


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0]
