"""Fitted state: the statistics that normalisation and imputation use, fitted once and then only read.

``{root}/{set}/state/{spec hash}/{fit id}.json`` never changes once written; its name is a digest of its content.
``{root}/{set}/state/current.json`` points to the one in force. A state belongs to one definition of the features: if
that changes, numbers scaled by the old statistics would be wrong in silence, so it is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Storage

__all__ = ["FittedState", "StateStore", "Statistics"]

_FORMAT = 1
_CURRENT = "current.json"


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What is known of one feature; all but `count` and `nulls` are None if there was no value."""

    count: int
    nulls: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    median: float | None


@dataclass(frozen=True, kw_only=True)
class FittedState:
    """Statistics, and what they were taken from.

    Attributes:
        feature_set: the set's name.
        spec_hash: the definition of the features, see `Plan.spec_hash`.
        fitted_on: ``as_of``, ``events_from`` and ``events_to`` (ISO 8601), ``rows`` and ``fingerprint`` of the data.
        statistics: by feature.
    """

    feature_set: str
    spec_hash: str
    fitted_on: dict[str, Any]
    statistics: Mapping[str, Statistics]

    @property
    def fit_id(self) -> str:
        """The digest of the content."""
        return hashlib.sha256(self.to_json()).hexdigest()[:16]

    def to_json(self) -> bytes:
        """Return the file's content."""
        content = {
            "format_version": _FORMAT,
            "feature_set": self.feature_set,
            "spec_hash": self.spec_hash,
            "fitted_on": self.fitted_on,
            "statistics": {name: asdict(known) for name, known in self.statistics.items()},
        }
        return json.dumps(content, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> FittedState:
        """Read what `to_json` wrote."""
        data = json.loads(content)
        return cls(
            feature_set=data["feature_set"],
            spec_hash=data["spec_hash"],
            fitted_on=data["fitted_on"],
            statistics={name: Statistics(**known) for name, known in data["statistics"].items()},
        )


class StateStore:
    """The states of one feature set below an artifact root."""

    def __init__(self, root: Storage, feature_set: str) -> None:
        self._place = root.below(f"{feature_set}/state")
        self._set = feature_set

    @property
    def pointer(self) -> str:
        """The address of the file that names the state in force."""
        return f"{self._place.uri}/{_CURRENT}"

    def current(self, spec_hash: str, *, where: str) -> FittedState | None:
        """Return the state in force, or None if none was ever promoted.

        Raises:
            FeatureError: it was fitted for another definition of the features, or cannot be read.
        """
        content = self._place.read(_CURRENT)
        if content is None:
            return None
        try:
            pointer = json.loads(content)
            found, fit_id = str(pointer["spec_hash"]), str(pointer["fit_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(where, f"{self.pointer} cannot be read ({error})") from error
        if found != spec_hash:
            raise self._unusable(
                where,
                f"the fitted state {fit_id} belongs to another definition of the features (spec {found}, now "
                f"{spec_hash}), so it would scale them wrongly",
            )
        return self._load(spec_hash, fit_id, where)

    def promote(self, state: FittedState, promoted_by: Mapping[str, Any]) -> None:
        """Write a state and put it in force."""
        self._place.replace(f"{state.spec_hash}/{state.fit_id}.json", state.to_json())
        pointer = {"fit_id": state.fit_id, "spec_hash": state.spec_hash, "promoted_by": dict(promoted_by)}
        self._place.replace(_CURRENT, json.dumps(pointer, indent=2).encode())

    def _load(self, spec_hash: str, fit_id: str, where: str) -> FittedState:
        name = f"{spec_hash}/{fit_id}.json"
        content = self._place.read(name)
        if content is None:
            raise self._unusable(where, f"{self.pointer} names {name}, which is not there")
        try:
            state = FittedState.from_json(content)
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(where, f"{self._place.uri}/{name} cannot be read ({error})") from error
        if state.fit_id != fit_id:
            raise self._unusable(where, f"{self._place.uri}/{name} was changed after it was written")
        return state

    def _unusable(self, where: str, problem: str) -> FeatureError:
        return FeatureError.because(
            where=where,
            feature=self._set,
            problem=problem,
            hint=f"Restore the definition or the file; or, to fit anew, move {self.pointer} away: the next run fits on "
            "its own data, says so, and keeps the old state beside the new one.",
        )
