"""Fitted state: the statistics that normalisation and imputation use, fitted once and then only read.

``{root}/{set}/state/{spec hash}/{fit id}.json`` never changes once written; its name is a digest of its content.
``{root}/{set}/state/current.json`` points to the one in force, and is set by `promote`. A state belongs to one
definition of the features: if that changes, numbers scaled by the old statistics would be wrong in silence, so it is
refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Storage

__all__ = ["FittedState", "StateStore", "Statistics", "unusable"]

_FORMAT = 1
_CURRENT = "current.json"


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What is known of one feature; all but `count` and `nulls` are None if there was no value.

    Attributes:
        count: values, nulls not counted.
        std: the population's standard deviation.
        q1, median, q3: quartiles, interpolated between neighbours.
        mode: the most frequent value; of several the least.
    """

    count: int
    nulls: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    median: float | None
    q1: float | None = None
    q3: float | None = None
    mode: float | None = None


@dataclass(frozen=True, kw_only=True)
class FittedState:
    """Statistics, and what they were taken from.

    Attributes:
        feature_set: the set's name.
        spec_hash: the definition of the features, see `Plan.spec_hash`.
        fitted_on: ``as_of`` (the last moment), ``events_from`` and ``events_to`` (ISO 8601), ``rows`` and
            ``fingerprint`` of the data; for a range also ``start``, ``end``,
            ``every_seconds`` and ``count``.
        statistics: by feature.
        fitted_by: the engine and the versions that computed them.
    """

    feature_set: str
    spec_hash: str
    fitted_on: dict[str, Any]
    statistics: Mapping[str, Statistics]
    fitted_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def fit_id(self) -> str:
        """The digest of the content."""
        return _digest(self.to_json())

    def to_json(self) -> bytes:
        """Return the file's content."""
        content = {
            "format_version": _FORMAT,
            "feature_set": self.feature_set,
            "spec_hash": self.spec_hash,
            "fitted_on": self.fitted_on,
            "fitted_by": dict(self.fitted_by),
            "statistics": {name: _written(known) for name, known in self.statistics.items()},
        }
        if not self.fitted_by:
            del content["fitted_by"]
        return json.dumps(content, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> FittedState:
        """Read what `to_json` wrote, in this or an earlier release."""
        data = json.loads(content)
        return cls(
            feature_set=data["feature_set"],
            spec_hash=data["spec_hash"],
            fitted_on=data["fitted_on"],
            fitted_by=data.get("fitted_by", {}),
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
        pointer = self._pointer(where)
        if pointer is None:
            return None
        found, fit_id = pointer["spec_hash"], pointer["fit_id"]
        if found != spec_hash:
            raise self._unusable(
                where,
                f"the fitted state {fit_id} belongs to another definition of the features (spec {found}, now "
                f"{spec_hash}), so it would scale them wrongly",
            )
        return self._load(spec_hash, fit_id, where)

    def save(self, state: FittedState) -> None:
        """Write a state; it is not in force before it is promoted."""
        self._place.create(f"{state.spec_hash}/{state.fit_id}.json", state.to_json())

    def promote(self, fit_id: str, spec_hash: str, promoted_by: Mapping[str, Any], *, where: str) -> FittedState:
        """Put a saved state in force and return it; the pointer keeps the name of the one before.

        Raises:
            FeatureError: there is no such state of this definition, or it cannot be read.
        """
        folder = self._place.below(spec_hash)
        known = sorted(name.removesuffix(".json") for name in folder.names() if name.endswith(".json"))
        if fit_id not in known:
            raise FeatureError.because(
                where=where,
                feature=self._set,
                problem=f"there is no fit {fit_id!r} of its definition (spec {spec_hash}); there are: "
                f"{', '.join(known) or 'none'}.{did_you_mean(fit_id, known)}",
                hint=_fit_command(self._set),
            )
        state = self._load(spec_hash, fit_id, where)
        self._place.replace(_CURRENT, _pointer_to(state, promoted_by, previous=self._previous()))
        return state

    def promote_first(self, state: FittedState, promoted_by: Mapping[str, Any], *, where: str) -> FittedState:
        """Put a state in force if none is, and return the one in force: of two first runs at once, one decides."""
        self.save(state)
        if self._place.create(_CURRENT, _pointer_to(state, promoted_by, previous=None)):
            return state
        return self.current(state.spec_hash, where=where) or state

    def _previous(self) -> str | None:
        try:
            pointer = self._pointer("")
        except FeatureError:
            return None
        return None if pointer is None else pointer["fit_id"]

    def _pointer(self, where: str) -> dict[str, str] | None:
        content = self._place.read(_CURRENT)
        if content is None:
            return None
        try:
            pointer = json.loads(content)
            return {name: str(pointer[name]) for name in ("spec_hash", "fit_id")}
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(where, f"{self.pointer} cannot be read ({error})") from error

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
        return unusable(self._set, where, problem)


def unusable(feature_set: str, where: str, problem: str) -> FeatureError:
    """Return the error of a state that cannot be used, with the commands that make and promote another."""
    return FeatureError.because(
        where=where,
        feature=feature_set,
        problem=problem,
        hint=f"Restore the definition or the file; or fit anew: {_fit_command(feature_set)}",
    )


def _fit_command(feature_set: str) -> str:
    return (
        f"mlpipe features fit {feature_set} --input ROLE=ARTIFACT ... --from TIME --to TIME, then "
        f"mlpipe features promote {feature_set} FIT_ID."
    )


def _written(known: Statistics) -> dict[str, Any]:
    """Return the statistics without those that an earlier release did not know, so that its states keep their id."""
    return {
        name: value for name, value in asdict(known).items() if value is not None or name not in ("q1", "q3", "mode")
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _pointer_to(state: FittedState, promoted_by: Mapping[str, Any], *, previous: str | None) -> bytes:
    pointer = {
        "fit_id": state.fit_id,
        "spec_hash": state.spec_hash,
        "promoted_by": dict(promoted_by),
        "previous": previous,
    }
    return json.dumps(pointer, indent=2).encode()
