"""Casts as DuckDB means them: numbers are rounded, not cut off; times are read strictly; texts of values look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.refusals import NotOnSparkError
from airflow_provider_mlpipe.engines.spark.columns import quoted
from airflow_provider_mlpipe.engines.spark.kinds import arrow_of, kind_of_type

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.engines.spark.translation import Translation

__all__ = ["cast"]

Node = Any  # sqlglot has no types here
_WHOLE = frozenset({"BIGINT", "INT", "INT128", "SMALLINT", "TINYINT"})
_TIME = r"^\\d{1,6}-\\d{1,2}-\\d{1,2}([ T]\\d{1,2}:\\d{1,2}(:\\d{1,2}([.]\\d+)?)?( ?(Z|UTC|[+-]\\d{2}(:?\\d{2})?))?)?$"
"""What DuckDB reads as a time; Spark also takes a year alone, or a time of today."""


def cast(node: Node, made: Translation) -> Node:
    """Return a cast, or a cast that is null where it cannot be, as Spark says it."""
    kind, target = str(node.this.meta.get("kind", "")), node.to.this.name
    word = "TRY_CAST" if type(node).__name__ == "TryCast" else "CAST"
    if target in {"TEXT", "VARCHAR"}:
        return _as_text(node, kind, made)
    if target in _WHOLE:
        return _as_whole(node, kind, word, target)
    if target in {"TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ"}:
        named = "TIMESTAMP" if target == "TIMESTAMPTZ" else "TIMESTAMP_NTZ"
        if word == "TRY_CAST" and kind == "string":
            read = r"regexp_replace(:x, '([+-]\\d{2})(\\d{2})$', '$1:$2')"
            return _filled(f"CASE WHEN :x RLIKE '{_TIME}' THEN TRY_CAST({read} AS {named}) END", node)
        return _filled(f"{word}(:x AS {named})", node)
    return node


def _filled(template: str, node: Node) -> Node:
    from airflow_provider_mlpipe.engines.spark.functions import parsed

    return parsed(template, x=node.this)


def _as_whole(node: Node, kind: str, word: str, target: str) -> Node:
    named = "DECIMAL(38, 0)" if target == "INT128" else target
    if kind == "float":
        return _filled(f"{word}(bround(:x) AS {named})", node)
    if kind == "decimal":
        return _filled(f"{word}(round(:x) AS {named})", node)
    if kind == "string":
        return _filled(f"CAST(round({word}(:x AS DECIMAL(38, 10))) AS {named})", node)
    return _filled(f"{word}(:x AS {named})", node)


def _as_text(node: Node, kind: str, made: Translation) -> Node:
    if kind == "float":
        raise NotOnSparkError("a text of a float")
    if kind == "timestamptz":
        return _filled("concat(CAST(:x AS STRING), '+00')", node)
    if kind in {"nested", "binary"}:
        # Only a column is nested; an extreme of one is as its column.
        column = node.this if type(node.this).__name__ == "Column" else node.this.this
        found = arrow_of(column, made.types)
        if found is not None:
            return _filled(_text_of(":x", found), node)
    return _filled("CAST(:x AS STRING)", node)


def _text_of(place: str, kind: pa.DataType) -> str:
    """Return Spark's SQL for a nested value as DuckDB prints it."""
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        parts = ", ', ', ".join(
            f"{_quoted_text(f'{field.name!r}: ')}, "
            f"coalesce({_text_of(f'{place}.{quoted(field.name)}', field.type)}, 'NULL')"
            for field in kind
        )
        return f"CASE WHEN {place} IS NOT NULL THEN concat('{{', {parts}, '}}') END"
    if kinds.is_map(kind):
        key, item = _text_of("e.key", kind.key_type), _text_of("e.value", kind.item_type)
        each = f"concat({key}, '=', coalesce({item}, 'NULL'))"
        return f"concat('{{', array_join(transform(map_entries({place}), e -> {each}), ', '), '}}')"
    if kinds.is_nested(kind):
        each = _text_of("e", kind.value_type)
        return f"concat('[', array_join(transform({place}, e -> {each}), ', ', 'NULL'), ']')"
    if kind_of_type(kind) == "binary":
        return f"regexp_replace(hex({place}), '(..)', '\\\\\\\\x$1')"
    return f"CAST({place} AS STRING)"


def _quoted_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
