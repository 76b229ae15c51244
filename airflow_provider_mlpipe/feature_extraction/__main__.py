"""``python -m airflow_provider_mlpipe.feature_extraction``, and the file to hand to `spark-submit`."""

from __future__ import annotations

import sys
from pathlib import Path

__all__: list[str] = []

if __name__ == "__main__":
    # Run as a file, Python looks for modules beside it first, and would take ours for others of the same name.
    beside = str(Path(__file__).resolve().parent)
    sys.path[:] = [place for place in sys.path if place != beside]

    from airflow_provider_mlpipe.feature_extraction.submission import main

    raise SystemExit(main())
