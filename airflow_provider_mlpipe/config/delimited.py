"""How a CSV file is written. Part of ``ingestion_config.yaml``."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from airflow_provider_mlpipe.config.section import Section

__all__ = ["CsvOptions"]


def _one_byte(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in "\r\n":
        raise ValueError("not a single ASCII character")
    return text


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise ValueError("not an encoding that Python knows, such as utf-8, latin-1 or cp1252") from error


Character = Annotated[str, AfterValidator(_one_byte)]


class CsvOptions(Section):
    r"""How a CSV file is written.

    Attributes:
        delimiter: between fields; ``"\t"`` for tabs.
        quote: around fields that hold a delimiter, a line break or a quote (doubled there); null if there are none.
        escape: before a character that is to be taken as it is; null if there is none.
        encoding: as Python names it: ``utf-8``, ``latin-1``, ``utf-16`` ...
        header: whether the first line names the columns.
        names: the columns' names; with a header they stand in its place, without one and without these the columns are
            ``f0``, ``f1`` ...
        skip_lines: lines above the header, or above the first row, that say something else.
        null_values: unquoted fields that stand for no value.
        decimal: the decimal mark, ``.`` or ``,``.
    """

    delimiter: Character = ","
    quote: Character | None = '"'
    escape: Character | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    header: bool = True
    names: list[str] = []
    skip_lines: int = Field(default=0, ge=0)
    null_values: list[str] = [""]
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _apart(self) -> CsvOptions:
        marks = [mark for mark in (self.delimiter, self.quote, self.escape) if mark is not None]
        if len(set(marks)) < len(marks):
            raise ValueError("delimiter, quote and escape must differ; a doubled quote needs no escape")
        if len(set(self.names)) < len(self.names):
            raise ValueError("a name stands twice in names")
        return self
