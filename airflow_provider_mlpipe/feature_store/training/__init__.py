"""Training sets: what was known of each label's entity at the label's time, and a proof of it.

Labels in, the same rows out, with features beside them. Each label gets, per feature view, the newest row of its entity
that is not later than the label and within the view's TTL: what Feast's ``get_historical_features`` gives, in bounded
memory, always the same, and checked.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_store.training.assembly import training_set
from airflow_provider_mlpipe.feature_store.training.proof import PROOF

__all__ = ["PROOF", "training_set"]
