"""Features: declared once, computed as of a moment from artifacts, never seeing what came later.

`extract` is the stage. The way through this room: `declaration` and `catalog` say what features are, `scope` and `plan`
resolve a selection, `inputs` checks what it needs, `compile` turns it into expressions, `computation` runs them,
`normalization` and `state` scale by fitted statistics, `extraction` publishes. `feature_extractor` is the seed's API.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.extraction import Extraction, extract

__all__ = ["Extraction", "extract"]
