"""Plugged into Feast: a compute engine that makes the stock engine's bytes from Arrow columns, not row by row.

Feast's own engine turns every value into a Python object and every object into a protobuf message. This one builds the
same bytes for a column at a time. What it writes is Feast's private wire format, so each fact about it names the place
in Feast that it was read from, `ArrowComputeEngine` works only on versions that it was proven on (`PROVEN`), and
whatever it does not know goes to Feast's engine, which is always right.

* `wire`: arrays of bytes: varints, length-delimited fields, fields of fixed width.
* `values`: a column to serialised ``Value`` messages. `keys`: key columns to entity keys.
* `scope`: which view, store and types are known. `window`: the rows of a materialisation, the latest per key, streamed.
* `redis_writer` (over `pipeline`), `sqlite_writer`: a batch of rows to an online store.
* `engine`: all of it, as Feast wants it. `lookup`: the times that are online, for the guard. `comparison`: which rows
  are online as they are, for the rollback.

Feast loads the engine by name; the modules below import Feast and Arrow, this one imports nothing.
"""

from __future__ import annotations

__all__ = ["ENGINE"]

ENGINE = "airflow_provider_mlpipe.feature_store.arrow_engine.engine.ArrowComputeEngine"
"""What Feast's ``batch_engine.type`` is set to."""
