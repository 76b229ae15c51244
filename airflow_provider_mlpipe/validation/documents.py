"""JSON as it is written beside the data: readable, and without what JSON has no word for."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_mlpipe.validation.samples import json_clean

__all__ = ["as_json"]


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document as JSON in UTF-8.

    >>> as_json({"high": float("inf"), "pair": (1, None)}).decode().split()
    ['{', '"high":', '"Infinity",', '"pair":', '[', '1,', 'null', ']', '}']
    """
    return json.dumps(_clean(document), indent=1, ensure_ascii=False, allow_nan=False).encode()


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Return `value` without infinities, NaN and tuples."""
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return json_clean(value)
