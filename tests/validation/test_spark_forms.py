"""Every statement of a scan can be said in Spark's words; a construct that is new to it is refused, not guessed.

That the words mean the same is held against a real Spark in tests/spark/test_validation.py, on the same documents. Here
it is that none is without a form, so that whoever adds a statement hears of it at once.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
import sqlglot

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.engines.refusals import NotOnSparkError
from airflow_provider_mlpipe.engines.spark import functions
from airflow_provider_mlpipe.engines.spark.patterns import java_regex, like_regex
from airflow_provider_mlpipe.engines.spark.translation import KEPT, spark_sql
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.gx.aggregates import ON_COLUMNS
from airflow_provider_mlpipe.validation.gx.conditions import ON_ROWS
from airflow_provider_mlpipe.validation.rules import Rule, rules_of, uniqueness
from airflow_provider_mlpipe.validation.scan import Scan
from tests.validation.every_rule import AS_OF, DOCUMENTS
from tests.validation.test_edge_matrix import kinds

DUCKDB_TOO = {"a text compared with a number"}
"""What has no form as DuckDB refuses it as well."""


class Interpreted(DuckDBEngine):
    """DuckDB, which has every statement translated that it understood."""

    def __init__(self, connection) -> None:
        super().__init__(connection)
        self.constructs: set[str] = set()
        self.formless: set[str] = set()
        self.types: dict[str, dict[str, pa.DataType]] = {}

    def rows(self, sql, parameters=None):
        found = super().rows(sql, parameters)
        if not sql.startswith("DESCRIBE judged") and not sql.startswith("DESCRIBE related"):
            self._interpret(sql, parameters)
        return found

    def _interpret(self, sql, parameters):
        nodes = sqlglot.parse_one(sql, read="duckdb").walk()
        self.constructs |= {
            node.name.lower() if type(node).__name__ == "Anonymous" else type(node).__name__ for node in nodes
        }
        try:
            spark_sql(sql, parameters or [], self.types)
        except NotOnSparkError as error:
            self.formless.add(str(error))


def columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    return {f"c{place}": field.type for place, field in enumerate(schema)}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory) -> tuple[set[str], set[str], list[Rule]]:
    """Scan all documents; return the constructs that occurred, what had no form, and the rules."""
    constructs, formless, rules = set(), set(), []
    for document in DOCUMENTS.values():
        listed = rules_of(dataset_rules({"data": dict(document.rules)}, "data"), AS_OF)
        rules += listed
        with pytest.MonkeyPatch.context() as patch, Interpreted.open() as engine:
            document.treated(patch)
            patch.setattr(uniqueness, "MAX_SORTED", -1)  # Spark does not hand out a hash of every row
            artifact, related = document.published(Storage(str(tmp_path_factory.mktemp("artifacts"))))
            engine.types["judged"] = columns(document.table.schema)
            for place, table in enumerate(document.related.values()):
                engine.types[f"related_{place}"] = columns(table.schema)
            frame = Frame.of_artifact(engine, artifact, related)
            Scan(frame, listed)
            constructs |= engine.constructs
            formless |= engine.formless
    return constructs, formless, rules


def test_every_statement_has_a_form(scanned):
    _, formless, _ = scanned
    assert formless <= DUCKDB_TOO


def test_the_documents_have_every_kind_of_rule(scanned):
    _, _, rules = scanned
    assert {rule.kind for rule in rules} == set(kinds(Rule)) - {Rule.kind}
    assert {rule.type for rule in rules if rule.kind == "expectation"} >= ON_ROWS.keys() | ON_COLUMNS.keys()


def test_whatever_passes_or_is_said_otherwise_occurs_in_a_document(scanned):
    constructs, _, _ = scanned
    assert KEPT | functions.SAID.keys() | functions.WHOLE.keys() <= constructs | {"Exists"}  # which only Spark is told


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT mad(c0) FROM judged", "MAD(c0)"),
        ("SELECT lag(c0) OVER (ORDER BY c0) FROM judged", "OVER"),
        ("SELECT regexp_matches(c1, '^a', 'i') FROM judged", "flag"),
        ("SELECT regexp_matches(c1, c1) FROM judged", "pattern that is not the same for all rows"),
        ("SELECT extract(dow FROM c2) FROM judged", "extract(dow"),
        ("SELECT c1 > 5 FROM judged", "a text compared with a number"),
        ("SELECT CAST(c3 AS VARCHAR) FROM judged", "a text of a float"),
        ("SELECT c9 FROM judged", "Spark has no type for `clock`, which is time64[us]"),
        ("SELECT count(*) FROM judged USING SAMPLE 10", "sample"),
    ],
)
def test_what_has_no_form_is_refused_by_name(statement, told):
    types = {"judged": columns(pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.date32(), "d": pa.float64()}))}
    with pytest.raises(NotOnSparkError, match=re.escape(told)):
        spark_sql(statement, [], types, {"c9": "`clock`, which is time64[us]"})


def test_texts_are_bound_and_never_written_into_a_statement():
    statement, bound = spark_sql("SELECT c0 FROM judged WHERE c0 = ? OR c0 IN (SELECT unnest(CAST(? AS VARCHAR[])))",
                                 ["'); DROP", ["\\'", "'); DROP"]])  # fmt: skip
    assert "DROP" not in statement
    assert sorted(bound.values()) == ["'); DROP", "\\'"]


@pytest.mark.parametrize("pattern", [r"\pN", "[[:cntrl:]]", r"\Qa", "(?U)a+", "(?m)^a$", r"[^\S]"])
def test_a_pattern_that_java_reads_otherwise_is_refused(pattern):
    with pytest.raises(NotOnSparkError, match="means something else on Spark"):
        java_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "escape", "matched", "not_matched"),
    [
        ("a%", "", {"a", "ab", "a\nb"}, {"", "ba"}),
        ("a_", "", {"ab", "a\n"}, {"a", "abc"}),
        ("a!%", "!", {"a%"}, {"ab", "a"}),
        ("a\\%", "", {"a\\", "a\\b"}, {"a%", "a"}),
        ("(.)", "", {"(.)"}, {"a"}),
    ],
)
def test_a_like_pattern_as_a_regular_expression(pattern, escape, matched, not_matched):
    # Python reads all of Java's pattern but its quotes.
    made = re.sub(r"\\Q(.)\\E", lambda sign: re.escape(sign[1]), like_regex(pattern, escape)).replace(r"\z", r"\Z")
    assert {text for text in matched | not_matched if re.search(made, text)} == matched
