"""Plugged into Feast: its DynamoDB online store, reading all that was asked for.

Feast loads this module by name (``online_store.type``), on Spark's workers too; nothing else imports it, because it
imports Feast and boto3. The stock class takes for absent what DynamoDB leaves out of an answer of more than 16 MB, or
under load, and promises to give when asked again: a guard that asks so would let older rows over newer ones. It fails
on rows from before a feature was added, if nothing but new features is asked for. And unless told otherwise it may read
what was there before the last write; here that has to be asked for.

Feast's asynchronous reads, which this package does not use, are Feast's own but for the new features.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from feast.infra.online_stores.dynamodb import DynamoDBOnlineStore, DynamoDBOnlineStoreConfig
from pydantic import StrictBool, field_validator

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MlpipeDynamoDBOnlineStore", "MlpipeDynamoDBOnlineStoreConfig"]

PATIENCE = 8
"""How often in a row DynamoDB may answer with no row at all, before we give up: waits of 13 seconds together."""


class MlpipeDynamoDBOnlineStoreConfig(DynamoDBOnlineStoreConfig):  # type: ignore[misc]  # feast has no types
    """Feast's own settings; of its own type to Feast's eyes, which looks for that name here and there."""

    type: Literal["dynamodb"] = "dynamodb"
    consistent_reads: StrictBool = True

    @field_validator("type", mode="before")
    @classmethod
    def _known_to_feast(cls, _: Any) -> str:  # noqa: ANN401 - whatever Feast found the class by
        return "dynamodb"


class MlpipeDynamoDBOnlineStore(DynamoDBOnlineStore):  # type: ignore[misc]  # feast has no types
    """Feast's store over clients that ask until they have everything."""

    def _get_dynamodb_client(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return _Thorough(super()._get_dynamodb_client(*args, **kwargs))

    def _get_dynamodb_resource(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return _Thorough(super()._get_dynamodb_resource(*args, **kwargs))

    def _process_batch_get_response(
        self,
        table_name: str,
        response: dict[str, Any],
        batch: list[str],
        to_tbl_response: Callable[[Any], Any] = lambda row: row,
    ) -> Any:  # noqa: ANN401
        for row in (response.get("Responses") or {}).get(table_name) or ():
            # A client names the type of each value, a resource does not.
            row.setdefault("values", {"M": {}} if isinstance(row["entity_id"], dict) else {})
        return super()._process_batch_get_response(table_name, response, batch, to_tbl_response=to_tbl_response)


class _Thorough:
    """A client or resource of boto3 whose BatchGetItem answers as a whole."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - boto3 has no types
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Ask again for what was left out; wait in between only if an answer brought nothing at all."""
        found: dict[str, list[Any]] = {}
        pending, in_vain = RequestItems, 0
        while pending:
            answer = self._inner.batch_get_item(RequestItems=pending)
            left = answer.get("UnprocessedKeys") or {}
            pending = {table: {**RequestItems[table], "Keys": rest["Keys"]} for table, rest in left.items()}
            brought = answer.get("Responses") or {}
            for table, rows in brought.items():
                found.setdefault(table, []).extend(rows)
            in_vain = 0 if any(brought.values()) else in_vain + 1
            if pending and in_vain >= PATIENCE:
                message = f"DynamoDB answered {PATIENCE} times in a row without a row, and asks to be asked again"
                raise TimeoutError(message)
            if pending and in_vain:
                threading.Event().wait(0.05 * 2**in_vain)
        return {"Responses": found}
