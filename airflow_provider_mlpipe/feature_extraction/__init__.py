"""Features: declared once, computed as of a moment from artifacts, never seeing what came later.

`extract` is the stage. The way through this room: `declaration` and `catalog` say what features are, `scope` and `plan`
resolve a selection, `inputs` checks what it needs, `compile` turns it into expressions, `computation` runs them,
`raw` publishes them with their `proof`, `reuse` takes what was computed before, `normalization` and `state` scale by
fitted statistics. `moments` and `days` are about histories, `chunks` and `merging` about parts, `fitting` about fits.
`given` publishes a table that somebody computed. `feature_extractor` is the seed's API.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
from airflow_provider_mlpipe.feature_extraction.custom import Context, feature
from airflow_provider_mlpipe.feature_extraction.days import Difference, compare, day_fingerprints
from airflow_provider_mlpipe.feature_extraction.extraction import Extraction, extract
from airflow_provider_mlpipe.feature_extraction.fitting import Fit, fit_state, promote
from airflow_provider_mlpipe.feature_extraction.given import is_table, publish_table
from airflow_provider_mlpipe.feature_extraction.merging import merge_chunks
from airflow_provider_mlpipe.feature_extraction.moments import Moments

__all__ = [
    "Chunk",
    "Context",
    "Difference",
    "Extraction",
    "Fit",
    "Moments",
    "compare",
    "day_fingerprints",
    "extract",
    "feature",
    "fit_state",
    "is_table",
    "merge_chunks",
    "promote",
    "publish_table",
]
