"""Reference distributions: where they come from, and how far a column has moved away from one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.config import Distribution

__all__ = ["Reference", "read_reference", "statistic"]

FLOOR = 1e-4
"""A share below this counts as this much: PSI would be infinite for a category that was never seen before."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A distribution: the shares of n bins with n+1 edges, or of n categories. Exactly one of the two is given.

    Values below the first or above the last edge fall into the first or last bin. Values outside the categories
    form one more category, of which the reference has nothing.
    """

    weights: tuple[float, ...]
    bins: tuple[float, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def expected(self) -> tuple[float, ...]:
        """The shares, in the order in which a scan counts: categories end with that of unknown values."""
        total = sum(self.weights)
        shares = tuple(weight / total for weight in self.weights)
        return shares if self.bins else (*shares, 0.0)

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
    if isinstance(content, str):
        path = Path(document).parent / content
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problem = f"the reference {content!r} cannot be read ({error})"
            raise ConfigError.invalid(where=where, key=key, problem=problem) from error
    problem = _problem(content, drift.method)
    if problem:
        hint = "Write {bins: [0, 10, 20], weights: [0.4, 0.6]} or {values: [a, b], weights: [0.5, 0.5]}."
        raise ConfigError.invalid(where=where, key=key, problem=problem, hint=hint)
    return Reference(
        weights=tuple(float(weight) for weight in content["weights"]),
        bins=tuple(content.get("bins", ())),
        values=tuple(content.get("values", ())),
    )


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
        return "" if len(content["values"]) == len(weights) else "there must be one weight per value"
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
