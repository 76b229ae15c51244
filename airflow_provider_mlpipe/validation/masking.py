"""Masking: what is sensitive stays in the data, whatever is written or said about it.

Counts, shares, types and rules are told of a sensitive column, its values never: not in samples and row keys, not as
extremes or the newest time, not as the categories of a reference, not inside what an engine says of a failure. Value
lists of the YAML are masked, too: a report travels further than a repository.

Results are masked once, right after they were judged; log, exception, XCom, report, Markdown and JUnit are all made of
the masked ones. Great Expectations' own documents are masked as JSON.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, did_you_mean
from airflow_provider_mlpipe.validation.rules.choices import InSet
from airflow_provider_mlpipe.validation.rules.expected import Expected
from airflow_provider_mlpipe.validation.wording import number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow_provider_mlpipe.config import Configured, DatasetRules
    from airflow_provider_mlpipe.validation.findings import Sample
    from airflow_provider_mlpipe.validation.rules import Rule
    from airflow_provider_mlpipe.validation.verdict import RuleResult

__all__ = ["MASK", "Masking", "discreet"]

MASK = "***"

_TELLS_NO_VALUE = frozenset({"column", "columns", "rows", "row_count", "row_count_anomaly", "type", "drift"})
"""Kinds of rules, beyond those that count rows, whose observation is no value of the column."""

_LISTS = frozenset({"value_set", "value_pairs_set", "reference", "partition_object"})
"""Arguments of expectations that list values."""

_COLUMN_FACTS = frozenset({"name", "type", "nulls", "distinct"})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def discreet(rules: Iterable[Rule], sensitive: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules with ids that quote nothing: the id of an expression on a sensitive column is its text."""
    seen: Counter[str] = Counter()
    found = []
    for rule in rules:
        rule_id = _QUOTED.sub(MASK, rule.rule_id) if set(sensitive).intersection(rule.reads) else rule.rule_id
        seen[rule_id] += 1
        found.append(replace(rule, rule_id=rule_id if seen[rule_id] == 1 else f"{rule_id}#{seen[rule_id]}"))
    return tuple(found)


class Masking:
    """Hides the values of sensitive columns.

    Args:
        sensitive: the columns.
        rules: all rules of the dataset.
    """

    def __init__(self, sensitive: Collection[str], rules: Iterable[Rule] = ()) -> None:
        self._columns = frozenset(sensitive)
        self._rules = {rule.rule_id: rule for rule in rules if self._columns.intersection(rule.reads)}

    @classmethod
    def of(cls, configured: Configured[DatasetRules], rules: Iterable[Rule], names: Collection[str]) -> Masking:
        """Return the masking of a dataset.

        Raises:
            ConfigError: a sensitive column is not there, but one that is called nearly the same: masking nothing
                because of a typing mistake would be noticed when it is too late.
        """
        for place, name in enumerate(configured.model.sensitive):
            if name not in names and (guess := did_you_mean(name, names)):
                raise ConfigError.invalid(
                    where=configured.where("sensitive", place), key="sensitive",
                    problem=f"the data has no column {name!r}.{guess}",
                    hint="Name the column as the data does; a column that is rightly not there may stay in the list.",
                )  # fmt: skip
        return cls(configured.model.sensitive, rules)

    def results(self, results: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
        """Return the results without values of sensitive columns."""
        return tuple(map(self._result, results)) if self._columns else tuple(results)

    def column(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the profile of a column, for a sensitive one without what is made of its values."""
        if facts["name"] not in self._columns:
            return dict(facts)
        return {name: fact if name in _COLUMN_FACTS else None for name, fact in facts.items()}

    def suite(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a suite as JSON, its lists of sensitive values masked: it loads, and judges what is not masked."""
        if not self._columns:
            return document
        return {**document, "expectations": [self._expectation(each) for each in document["expectations"]]}

    def validation(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return Great Expectations' results of a suite as JSON, masked."""
        if not self._columns:
            return document
        return {**document, "results": [self._evaluated(result) for result in document["results"]]}

    def message(self, text: str) -> str:
        """Return what an engine or a library says, without the values that it quotes.

        >>> Masking(["email"]).message("Could not convert string 'ann@x.org' to INT32")
        'Could not convert string *** to INT32'
        """
        return _QUOTED.sub(MASK, text) if self._columns else text

    def _result(self, result: RuleResult) -> RuleResult:
        samples = tuple(self._sample(sample, result.rule_id) for sample in result.samples)
        rule = self._rules.get(result.rule_id)
        if rule is None:
            found = self.message(result.found) if result.status == "error" else result.found
            return replace(result, samples=samples, found=found)
        tells_none = rule.by_row or rule.kind in _TELLS_NO_VALUE
        return replace(
            result,
            samples=samples,
            text=self.message(_text(rule)),
            found=self._found(result, counts=rule.by_row or rule.kind in _TELLS_NO_VALUE - {"drift"}),
            observed=result.observed if tells_none else None,
            shape=_numbered(result.shape),
        )

    def _found(self, result: RuleResult, *, counts: bool) -> str:
        """Return what was found about a sensitive column."""
        if result.status == "error":
            return "It cannot run; why may quote values, so it is not told."
        if result.status == "skipped" or counts or not result.found:
            return result.found
        if result.kind == "drift" and isinstance(result.observed, (int, float)):
            return f"It is {number(result.observed)}."
        return "What was found is masked."

    def _sample(self, sample: Sample, rule_id: str) -> Sample:
        about = rule_id in self._rules
        values = {
            name: MASK if name in self._columns or (about and name not in self._known(rule_id)) else value
            for name, value in sample.values.items()
        }
        return replace(sample, values=values, key=self._by_name(sample.key))

    def _known(self, rule_id: str) -> Collection[str]:
        """Return the columns that a rule reads: what a sample holds beyond them is computed, from whatever columns."""
        return self._rules[rule_id].reads

    def _by_name(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, dict):
            return {name: MASK if name in self._columns else self._by_name(item) for name, item in value.items()}
        return [self._by_name(item) for item in value] if isinstance(value, list) else value

    def _expectation(self, document: dict[str, Any]) -> dict[str, Any]:
        rule = self._rules.get(document.get("meta", {}).get("mlpipe", {}).get("rule_id"))
        if rule is None:
            return document
        arguments = {name: self._argument(name, value) for name, value in document["kwargs"].items()}
        meta = document["meta"]
        told = {name: self.message(fact) if isinstance(fact, str) else fact for name, fact in meta["mlpipe"].items()}
        notes = self.message(_text(rule))
        return {**document, "kwargs": arguments, "notes": notes, "meta": {**meta, "mlpipe": told}}

    def _argument(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if name in _LISTS:
            return _masked(value)
        if name == "row_condition":
            return _unparametrised(value)
        return self.message(value) if isinstance(value, str) else value

    def _evaluated(self, document: dict[str, Any]) -> dict[str, Any]:
        configuration = document["expectation_config"]
        rule = self._rules.get(configuration.get("meta", {}).get("mlpipe", {}).get("rule_id"))
        details = self._by_name(document["result"])
        failure = document.get("exception_info") or {}
        if message := failure.get("exception_message"):
            failure = {**failure, "exception_message": self.message(message), "exception_traceback": ""}
        if rule is not None:
            details = {name: self._detail(name, value, rule) for name, value in details.items()}
            failure = {**failure, **({"exception_message": MASK} if message else {})}
        masked = {**document, "expectation_config": self._expectation(configuration), "result": details}
        return {**masked, "exception_info": failure} if failure else masked

    def _detail(self, name: str, value: Any, rule: Rule) -> Any:  # noqa: ANN401 - any JSON value
        if name == "observed_value":
            return value if rule.by_row or rule.kind in _TELLS_NO_VALUE else None
        if name == "details":
            return {}
        if isinstance(value, list):
            return [_values_masked(item) for item in value]
        return value


def _text(rule: Rule) -> str:
    """Return the rule in plain words, without the values that it lists."""
    masked: dict[str, Any] = {}
    if isinstance(rule, InSet):
        masked["values"] = (MASK,)
    elif isinstance(rule, Expected):
        given = rule.arguments.items()
        masked["arguments"] = {name: _masked(value) if name in _LISTS else value for name, value in given}
    return replace(rule, **masked).text if masked else rule.text


def _unparametrised(condition: Any) -> Any:  # noqa: ANN401 - GX's condition as JSON
    """Return a condition without what columns are compared with."""
    if isinstance(condition, dict):
        return {name: MASK if name == "parameter" else _unparametrised(value) for name, value in condition.items()}
    if isinstance(condition, list):
        return [_unparametrised(item) for item in condition]
    return condition


def _values_masked(item: Any) -> Any:  # noqa: ANN401 - an item of GX's lists of unexpected values
    """Return an unexpected value masked; of those by name the sensitive ones already are."""
    if isinstance(item, dict):
        return {name: MASK if name == "value" else value for name, value in item.items()}
    return MASK


def _masked(value: Any) -> Any:  # noqa: ANN401 - an argument of an expectation
    """Return a list as one mask and a mapping of lists as masks, so that the expectation still loads."""
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    return [MASK] if isinstance(value, list) and value else value


def _numbered(shape: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
    """Return the bins or categories of a distribution by number."""
    if shape is None:
        return None
    return {**shape, "labels": [f"no. {place}" for place, _ in enumerate(shape["labels"], 1)]}
