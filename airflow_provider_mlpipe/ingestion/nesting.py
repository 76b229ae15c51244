"""Objects and lists inside records: as struct and list columns, or as a column per inner key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import as_text
from airflow_provider_mlpipe.ingestion.failures import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

__all__ = ["SEPARATOR", "Shape", "flattened"]

SEPARATOR = "__"
"""Between the keys of a flattened column's name, as dlt writes it."""

MOST_KEYS = 1_000
"""An object with more different keys is a mapping with data for keys, not a struct: it becomes JSON text."""

MOST_LEVELS = 32


@dataclass
class Shape:
    """What the values at one place have in common, told from all of them.

    Attributes:
        kinds: their Python types, nulls apart.
        keys: of objects, the shape by key.
        items: of lists, the shape of the items.
    """

    level: int = 0
    kinds: set[type] = field(default_factory=set)
    keys: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    _wide: bool = False

    def see(self, values: Iterable[Any]) -> None:
        """Take note of `values`."""
        for value in values:
            if value is None:
                continue
            # An integer that no column of integers holds is told apart, so that its column becomes text.
            kind = complex if type(value) is int and not -(2**63) <= value < 2**63 else type(value)
            self.kinds.add(kind)
            if self.level >= MOST_LEVELS or self._wide:
                continue
            if isinstance(value, dict):
                for key, item in value.items():
                    self.keys.setdefault(str(key), Shape(self.level + 1)).see((item,))
                self._wide = len(self.keys) > MOST_KEYS
            elif isinstance(value, list):
                self.items = self.items or Shape(self.level + 1)
                self.items.see(value)

    def type(self) -> pa.DataType:
        """Return the Arrow type that holds all values; text where they have none in common."""
        import pyarrow as pa

        if self._is_struct:
            return pa.struct([pa.field(key, shape.type()) for key, shape in self.keys.items()])
        if self._is_list:
            return pa.list_(pa.string() if self.items is None else self.items.type())
        simple = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
        if self.kinds == {int, float}:
            return pa.float64()
        return simple.get(next(iter(self.kinds)), pa.string()) if len(self.kinds) == 1 else pa.string()

    def fit(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return a value as its type takes it.

        Raises:
            ValueError: text that is not Unicode, or an integer that a column of floats does not hold exactly.
        """
        if value is None:
            return None
        if self._is_struct:
            return {key: shape.fit(value.get(key)) for key, shape in self.keys.items()}
        if self._is_list:
            return [None if self.items is None else self.items.fit(item) for item in value]
        if self.kinds == {int, float}:
            if isinstance(value, int) and int(float(value)) != value:
                raise ValueError(f"{value} loses digits")
            return float(value)
        return value if len(self.kinds) == 1 and self.kinds <= {bool, int, float} else as_text(value)

    @property
    def _is_struct(self) -> bool:
        return self.kinds == {dict} and bool(self.keys) and not self._wide and self.level < MOST_LEVELS

    @property
    def _is_list(self) -> bool:
        return self.kinds == {list} and self.level < MOST_LEVELS


def flattened(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without objects inside: a key ``a__b`` per inner key; lists and empty objects stay.

    >>> flattened({"id": 1, "by": {"name": "Ann", "team": {"id": 7}}, "tags": ["x"]})
    {'id': 1, 'by__name': 'Ann', 'by__team__id': 7, 'tags': ['x']}

    Raises:
        Unreadable: two keys become one.
    """
    flat: dict[str, Any] = {}
    left: list[tuple[str, Any]] = [(str(name), value) for name, value in reversed(list(record.items()))]
    while left:
        name, value = left.pop()
        if isinstance(value, dict) and value:
            left += [(f"{name}{SEPARATOR}{key}", item) for key, item in reversed(list(value.items()))]
            continue
        if name in flat:
            raise Unreadable(f"nested: flatten makes two columns {name!r} of one record; use nested: struct or json")
        flat[name] = value
    return flat
