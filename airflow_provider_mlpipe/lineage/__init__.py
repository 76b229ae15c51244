"""OpenLineage: what a run read and wrote, column by column, and what was found out about the data.

Operators note what they touch in a `Trail`; `OpenLineageMixin` hands it to OpenLineage's provider, in whose words
`facets` puts it. None of it is needed where that provider is not installed.
"""

from __future__ import annotations

from airflow_provider_mlpipe.lineage.mixin import OpenLineageMixin
from airflow_provider_mlpipe.lineage.trail import Trail, listening

__all__ = ["OpenLineageMixin", "Trail", "listening"]
