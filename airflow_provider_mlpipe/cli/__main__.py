"""``python -m airflow_provider_mlpipe.cli``: the same as ``mlpipe``."""

from __future__ import annotations

from airflow_provider_mlpipe.cli import main

if __name__ == "__main__":
    main()
