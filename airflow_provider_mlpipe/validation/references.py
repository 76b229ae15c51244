"""Reference distributions: where they come from, and how far a column has moved away from one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.errors import ConfigError, MlpipeError, did_you_mean, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.config import Distribution

__all__ = ["PROFILE_FORMAT", "Reference", "read_reference", "statistic"]

PROFILE_FORMAT = "mlpipe.profile"
"""What a stored profile says of itself in ``format``; `airflow_provider_mlpipe.validation.stored_profile` writes it."""

PROFILE_VERSION = 1

COARSE_BINS = 10

FLOOR = 1e-4
"""A share below this counts as this much: PSI would be infinite for a category that was never seen before."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A distribution: the shares of n bins with n+1 edges, or of n categories. Exactly one of the two is given.

    Values below the first or above the last edge fall into the first or last bin. Values outside the categories
    form one more category: a weight more than there are values is its share, without one the reference has none of it.
    """

    weights: tuple[float, ...]
    bins: tuple[float, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def expected(self) -> tuple[float, ...]:
        """The shares, in the order in which a scan counts: categories end with that of unknown values."""
        total = sum(self.weights)
        shares = tuple(weight / total for weight in self.weights)
        return shares if self.bins or len(shares) > len(self.values) else (*shares, 0.0)

    def coarse(self, most: int) -> Reference:
        """Return the same distribution in about `most` bins at least, by joining neighbours; categories stay."""
        step = (len(self.weights) if self.bins else 0) // most
        if step < 2:
            return self
        starts = range(0, len(self.weights), step)
        return Reference(
            weights=tuple(sum(self.weights[start : start + step]) for start in starts),
            bins=(*(self.bins[start] for start in starts), self.bins[-1]),
        )

    @property
    def labels(self) -> list[str]:
        """What the shares are of, in words."""
        if not self.bins:
            return [*map(str, self.values), "anything else"]
        inner = [f"{left:,g} to {right:,g}" for left, right in pairwise(self.bins)]
        if len(inner) > 1:  # the outer bins are open
            inner[0], inner[-1] = f"below {self.bins[1]:,g}", f"{self.bins[-2]:,g} and more"
        return inner

    def as_dict(self) -> dict[str, list[Any]]:
        """Return it as it stands in the YAML."""
        named = {"bins": list(self.bins)} if self.bins else {"values": list(self.values)}
        return {**named, "weights": list(self.weights)}


def read_reference(drift: Distribution, document: str, where: str, column: str) -> Reference:
    """Return the reference of a drift rule, from the YAML itself or the JSON file that it names.

    Args:
        drift: the rule.
        document: the YAML file's path; a relative JSON path starts in its folder.
        where: ``file:line`` of the rule, for messages.
        column: the rule's column, for messages.

    Raises:
        ConfigError: no such file, or not a distribution.
    """
    key = f"distribution.{column}.reference"
    content: Any = drift.reference
    path = drift.reference if isinstance(drift.reference, str) else ""
    if path:
        try:
            content = json.loads(_content(path, document))
        except (OSError, ValueError, MlpipeError) as error:
            problem = f"the reference {redact(path)!r} cannot be read ({redact(str(error))})"
            hint = "`mlpipe profile ARTIFACT --reference-out FILE` writes one; a path starts in the YAML file's folder."
            raise ConfigError.invalid(where=where, key=key, problem=problem, hint=hint) from error
    whole = bool(path) and isinstance(content, dict) and content.get("format") == PROFILE_FORMAT
    try:
        if whole:
            content = _of_profile(content, column)
        problem = _problem(content, drift.method)
    except ValueError as error:
        problem = str(error)
    if problem:
        hint = "Write {bins: [0, 10, 20], weights: [0.4, 0.6]} or {values: [a, b], weights: [0.5, 0.5]}."
        hint = "Write a new profile of data that is as it should be, or take the column out." if whole else hint
        raise ConfigError.invalid(where=where, key=key, problem=problem, hint=hint)
    reference = Reference(
        weights=tuple(float(weight) for weight in content["weights"]),
        bins=tuple(content.get("bins", ())),
        values=tuple(content.get("values", ())),
    )
    # A stored profile is fine enough for KS. PSI and JS sum over bins, so that with many of them noise adds up.
    return reference.coarse(COARSE_BINS) if whole and drift.method != "ks" else reference


def _content(reference: str, document: str) -> bytes:
    """Return the JSON text that a rule names, from a bucket or from a path that starts in the YAML's folder."""
    if not reference.startswith("s3://"):
        return (Path(document).parent / reference).read_bytes()
    folder, _, name = reference.rpartition("/")
    content = Storage(folder).read(name)
    if content is None:
        raise FileNotFoundError(f"no such object: {redact(reference)}")
    return content


def _of_profile(profile: dict[str, Any], column: str) -> dict[str, Any]:
    """Return the distribution of one column of a stored profile.

    Raises:
        ValueError: it has none; the text says why.
    """
    if profile.get("format_version", 0) > PROFILE_VERSION:
        raise ValueError(
            f"the profile's format is {profile['format_version']}, this release reads up to {PROFILE_VERSION}; "
            "upgrade the provider"
        )
    columns = profile.get("columns", {})
    if column not in columns:
        raise ValueError(f"the profile has no column `{column}`.{did_you_mean(column, list(columns))}")
    found = {key: columns[column][key] for key in ("bins", "values", "weights") if key in columns[column]}
    if not found:
        seen, rows = columns[column].get("distinct"), profile.get("rows")
        raise ValueError(
            f"the profile has no distribution of `{column}` ({seen} different values in {rows} rows): a column that "
            "hardly repeats itself has none worth comparing"
        )
    return found


def _problem(content: Any, method: str) -> str:  # noqa: ANN401 - whatever stands in the file
    """Return what is wrong with a reference, or nothing."""
    if not isinstance(content, dict) or set(content) not in ({"bins", "weights"}, {"values", "weights"}):
        return "a reference has weights, and either bins or values"
    weights, binned = content["weights"], "bins" in content
    if not weights or not all(_is_number(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        return "weights are shares: numbers of at least 0, not all of them 0"
    if not binned:
        if method == "ks":
            return "ks compares numbers: give bins, or use psi or js for categories"
        fits = len(weights) - len(content["values"]) in {0, 1}
        return "" if fits else "there must be one weight per value, and at most one more: that of anything else"
    bins = content["bins"]
    if not all(map(_is_number, bins)) or any(left >= right for left, right in pairwise(bins)):
        return "bins are numbers that grow"
    return "" if len(bins) == len(weights) + 1 else "there must be one more edge in bins than weights"


def _is_number(thing: Any) -> bool:  # noqa: ANN401
    return isinstance(thing, (int, float)) and not isinstance(thing, bool) and not math.isnan(thing)


def statistic(method: str, expected: Sequence[float], counts: Sequence[int]) -> float:
    """Return how far `counts` are from the `expected` shares: 0 is not at all.

    Args:
        method: ``psi``, ``js`` (distance, base 2: at most 1) or ``ks`` (on the bins: at most 1).
        expected: shares that add up to 1.
        counts: as many, not all 0.

    >>> round(statistic("psi", [0.5, 0.5], [60, 40]), 4)
    0.0405
    """
    total = sum(counts)
    actual = [count / total for count in counts]
    if method == "ks":
        sums = zip(accumulate(actual), accumulate(expected), strict=True)
        return max(abs(one - other) for one, other in sums)
    if method == "js":
        middle = [(one + other) / 2 for one, other in zip(actual, expected, strict=True)]
        divergence = (_relative_entropy(actual, middle) + _relative_entropy(expected, middle)) / 2
        return math.sqrt(max(divergence, 0.0))
    pairs = [(max(one, FLOOR), max(other, FLOOR)) for one, other in zip(actual, expected, strict=True)]
    return sum((one - other) * math.log(one / other) for one, other in pairs)


def _relative_entropy(shares: Sequence[float], base: Sequence[float]) -> float:
    return sum(one * math.log2(one / other) for one, other in zip(shares, base, strict=True) if one > 0)
