"""Make an environment with another Airflow than the one that `make install` brings, for the tests of versions.

python scripts/airflow_version.py 3.1.8 FOLDER      constraints.txt, but what tests/airflow_versions/3.1.8.txt says

Every version is named, and nothing is resolved: what Airflow 3.1 and Feast say of starlette cannot be resolved, though
both run with the one that is named there.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

REPO = Path(__file__).parent.parent
VERSIONS = REPO / "tests" / "airflow_versions"
LEFT_OUT = {"pyspark"}
"""Large, and these tests do without."""


def pins(text: str) -> dict[str, str]:
    """Return lines by the name of the package, without comments."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {re.split(r"[=<>!~ @]", line, maxsplit=1)[0].lower(): line for line in lines}


def main() -> int:
    """Make the environment, unless it is there and is what it should be; return the exit code."""
    known = sorted(path.stem for path in VERSIONS.glob("*.txt"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", choices=known)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    named = pins((REPO / "constraints.txt").read_text())
    named |= pins((VERSIONS / f"{arguments.version}.txt").read_text())
    wanted = "\n".join(line for name, line in named.items() if name not in LEFT_OUT)
    stamp = arguments.folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    python = arguments.folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(arguments.folder)], check=True)
    with TemporaryDirectory() as place:
        listed = Path(place) / "requirements.txt"
        listed.write_text(wanted)
        uv = Path(sys.executable).parent / "uv"
        install = [str(uv), "pip", "install"] if uv.exists() else [sys.executable, "-m", "pip", "install"]
        for what in (["-r", str(listed)], ["-e", str(REPO)]):
            environment = os.environ | {"PIP_PYTHON": str(python), "UV_PYTHON": str(python)}
            subprocess.run([*install, "--quiet", "--no-deps", *what], check=True, env=environment)
    stamp.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
