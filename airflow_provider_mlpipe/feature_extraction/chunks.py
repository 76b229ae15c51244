"""Parts of a run by entity: each computes the entities whose key hashes to it, and merged they are the whole.

A feature of an entity depends on its own events only, so entities can be computed apart, by mapped tasks for example.
The chunk of a key follows from its text alone, so it is the same on every engine and every day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Chunk"]

_MOST = 256


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One of several equal parts of all entities.

    Attributes:
        index: which one, from 0.
        of: how many there are.
    """

    index: int
    of: int

    def __post_init__(self) -> None:
        if not (0 <= self.index < self.of <= _MOST):
            raise ConfigError.invalid(
                where="chunk",
                key="chunk",
                problem=f"index must lie in [0, of), and of in [1, {_MOST}]",
                value=f"{{index: {self.index}, of: {self.of}}}",
            )

    @classmethod
    def given(cls, chunk: Chunk | Mapping[str, Any] | None) -> Chunk | None:
        """Return what an argument says: ``{index: 0, of: 4}``.

        Raises:
            ConfigError: it says something else.
        """
        if chunk is None or isinstance(chunk, Chunk):
            return chunk
        try:
            return cls(index=int(chunk["index"]), of=int(chunk["of"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError.invalid(
                where="chunk", key="chunk", problem="takes two whole numbers, index and of", value=repr(chunk),
                hint="Write {index: 0, of: 4}.",
            ) from error  # fmt: skip

    def as_dict(self) -> dict[str, int]:
        """Return it for a manifest."""
        return {"index": self.index, "of": self.of}
