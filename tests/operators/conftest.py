"""Airflow for tests: in this process a throw-away AIRFLOW_HOME, in processes of their own a migrated one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.operators.home import airflow

__all__ = ["airflow"]

# Before anything imports Airflow, which reads it once, writes a configuration file into it and opens log files there.
_HOME = tempfile.mkdtemp(prefix="mlpipe-airflow-unit-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = str(Path(_HOME))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
