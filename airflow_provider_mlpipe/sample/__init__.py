"""A seeded, realistic project tracker to try everything on: a database, API pages and files with the same rows.

Harmless flaws are always in it (unknown status values, hours that cannot be, clocks that disagree, API records that
come twice); flaws that must stop a pipeline are put in on request, by name (`BREAKS`).
"""

from __future__ import annotations

from airflow_provider_mlpipe.sample.breakage import BREAKS
from airflow_provider_mlpipe.sample.tracker import Sample, write

__all__ = ["BREAKS", "Sample", "write"]
