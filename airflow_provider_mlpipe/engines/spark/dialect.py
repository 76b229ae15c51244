"""Where Ibis' SQL for Spark would compute something else than on DuckDB.

Ibis 12 finds nothing infinite on Spark: it compares the two expressions in Python where it means to write a comparison.

Spark turns a float into a decimal by way of its shortest text: 1e23 becomes 100000000000000000000000, although the
float is 99999999999999991611392. Sums that are exact on DuckDB would then differ in their last bits. So a float is cut
into three whole numbers that are exact, and these make the decimal.
"""

from __future__ import annotations

from typing import Any

__all__ = ["backend"]

_UPPER, _MIDDLE = 2**64, 2**32
_TOO_LARGE = "'a number of 1e38 or more cannot be added exactly'"


def backend(session: Any) -> Any:  # noqa: ANN401 - neither pyspark nor ibis has types
    """Return an Ibis backend on a session, which compiles by the rules of this module."""
    import ibis

    made = ibis.pyspark.connect(session)
    made.compiler = _compiler()
    return made


def _compiler() -> Any:  # noqa: ANN401
    import sqlglot as sg
    from ibis.backends.sql.compilers.pyspark import PySparkCompiler

    class Compiler(PySparkCompiler):  # type: ignore[misc]
        """Ibis' compiler for Spark, put right."""

        __slots__ = ()

        def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: ANN401, N802 - Ibis' name
            if op.arg.dtype.is_floating() and to.is_decimal() and to.scale == 0:
                written = arg.sql(dialect=self.dialect)
                return sg.parse_one(_exact(written, to.precision or 38), dialect=self.dialect)
            return super().visit_Cast(op, arg=arg, to=to)

        def visit_IsInf(self, op: Any, *, arg: Any) -> Any:  # noqa: ANN401, N802
            if not op.arg.dtype.is_floating():
                return super().visit_IsInf(op, arg=arg)
            return arg.eq(self.POS_INF).or_(arg.eq(self.NEG_INF))

    return Compiler()


def _exact(x: str, digits: int) -> str:
    """Return SQL for the float `x`, rounded half away from zero, as a decimal.

    Divisions by powers of two and differences of near numbers are exact, so nothing is lost on the way; whole numbers
    below 2**53 have an exact text. Spark may compute it for rows that a condition around it leaves out, so what is not
    finite gives null; what is too large is refused, as DuckDB refuses it.
    """
    upper = f"TRY_CAST({x} / {_UPPER}D AS BIGINT)"
    below = f"({x} - CAST({upper} AS DOUBLE) * {_UPPER}D)"
    middle = f"TRY_CAST({below} / {_MIDDLE}D AS BIGINT)"
    lower = f"({below} - CAST({middle} AS DOUBLE) * {_MIDDLE}D)"
    return (
        f"CASE WHEN ABS({x}) >= 1E{digits}D AND ABS({x}) < DOUBLE('Infinity') THEN RAISE_ERROR({_TOO_LARGE}) "
        f"ELSE CAST(CAST({upper} AS DECIMAL(19, 0)) * CAST('{_UPPER}' AS DECIMAL(20, 0))"
        f" + CAST({middle} AS DECIMAL(10, 0)) * CAST('{_MIDDLE}' AS DECIMAL(10, 0))"
        f" + CAST({lower} AS DECIMAL(10, 0)) AS DECIMAL({digits}, 0)) END"
    )
