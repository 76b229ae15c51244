"""Writes what the code already says: the reference pages and the JSON Schemas of the configuration files.

python docs/generate.py            writes what changed
python docs/generate.py --check    writes nothing; exits 1 and names each file that is not in step with the code
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pages import cli, configuration, errors, features, metrics, operators, schemas

if TYPE_CHECKING:
    from collections.abc import Callable

REPO = Path(__file__).parent.parent
REFERENCE = "docs/reference"
HEAD = "<!-- Made by `python docs/generate.py` from {source}. Change that, not this. -->\n\n"

PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "metrics.md": ("airflow_provider_mlpipe/observability/metrics.py", metrics.page),
    "errors.md": ("airflow_provider_mlpipe/errors.py", errors.page),
    "configuration.md": ("airflow_provider_mlpipe/config/", configuration.page),
    "cli.md": ("airflow_provider_mlpipe/cli/", cli.page),
    "operators.md": ("airflow_provider_mlpipe/operators/", operators.page),
    "features.md": ("airflow_provider_mlpipe/feature_extraction/catalog/", features.page),
}
"""By page: what it is made from, and how."""


def generated() -> dict[str, str]:
    """Return the content of every generated file, by its path in the repository."""
    pages = {
        f"{REFERENCE}/{name}": HEAD.format(source=f"`{source}`") + make().rstrip() + "\n"
        for name, (source, make) in PAGES.items()
    }
    return {**pages, **schemas.files()}


def stale(files: dict[str, str]) -> list[str]:
    """Return the paths of `files` whose content in the repository is another, or missing."""
    return [
        name for name, content in files.items() if not (REPO / name).exists() or (REPO / name).read_text() != content
    ]


def main() -> int:
    """Write, or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of step")
    only_check = parser.parse_args().check
    files = generated()
    old = stale(files)
    for name in old:
        if only_check:
            print(f"{name} is not in step with the code: run `python docs/generate.py`", file=sys.stderr)
        else:
            (REPO / name).parent.mkdir(parents=True, exist_ok=True)
            (REPO / name).write_text(files[name])
            print(f"wrote {name}")
    return 1 if only_check and old else 0


if __name__ == "__main__":
    sys.exit(main())
