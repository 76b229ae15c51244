"""What Dag authors import, as its source describes it: classes, decorators, `pipeline`. Importing it takes Airflow."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe import decorators, operators, sensors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Argument", "Described", "described", "public"]

PACKAGE = Path(operators.__file__).parent.parent
ROOMS = {"operators": operators, "sensors": sensors, "decorators": decorators}
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n(?: {5,}.*)?)*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of ``__init__``: how it is declared, and what the docstring says of it ("" if nothing)."""

    name: str
    type: str
    default: str
    meaning: str

    @property
    def templated(self) -> bool:
        """Whether the docstring says so."""
        return "(templated)" in self.meaning


@dataclass(frozen=True, kw_only=True)
class Described:
    """A class or function: its docstring's parts and its own arguments; `inherits` names a class's bases."""

    name: str
    module: str
    text: str
    xcom: str
    example: str
    arguments: tuple[Argument, ...]
    inherits: tuple[str, ...]


def public(room: str) -> list[str]:
    """Return the names of the classes and functions that a room offers."""
    return list(ROOMS[room].__all__)


@cache
def described() -> dict[str, Described]:
    """Return every class by name, those that are only bases too, and every public function."""
    found: dict[str, Described] = {}
    for room in ROOMS:
        for path in sorted((PACKAGE / room).glob("*.py")):
            module = f"{PACKAGE.name}.{room}.{path.stem}"
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                    found[node.name] = _described(node, module)  # of overloads the last is what runs
    return found


def _described(node: ast.ClassDef | ast.FunctionDef, module: str) -> Described:
    text = cleandoc(ast.get_docstring(node) or "")
    body, _, tail = text.partition("\nArgs:\n")
    before, _, after = body.partition("Example::\n")
    example, rest = _block(after)
    paragraphs = [part for part in f"{before}\n\n{rest}".split("\n\n") if part.strip()]
    meanings = {match[1]: " ".join(match[2].split()) for match in _ARGUMENT.finditer(tail)}
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return Described(
        name=node.name,
        module=module,
        text="\n\n".join(part for part in paragraphs if not part.startswith("XCom:")),
        xcom=next((" ".join(part.split())[6:] for part in paragraphs if part.startswith("XCom:")), ""),
        example=example,
        arguments=tuple(_arguments(node, meanings)),
        inherits=tuple(base.id for base in bases if isinstance(base, ast.Name)),
    )


def _block(text: str) -> tuple[str, str]:
    """Return the indented lines at the start of `text`, without their indent, and what comes after them."""
    lines = text.splitlines()
    end = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("    ")), len(lines))
    return cleandoc("\n".join(lines[:end])).strip(), "\n".join(lines[end:])


def _arguments(node: ast.ClassDef | ast.FunctionDef, meanings: dict[str, str]) -> Iterator[Argument]:
    functions = [node] if isinstance(node, ast.FunctionDef) else [
        item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    ]  # fmt: skip
    for function in functions:
        given = function.args
        positional = [argument for argument in given.args if argument.arg != "self"]
        defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
        for argument, default in [*zip(positional, defaults, strict=True),
                                  *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:  # fmt: skip
            yield Argument(
                name=argument.arg,
                type=ast.unparse(argument.annotation) if argument.annotation else "",
                default="" if default is None else ast.unparse(default),
                meaning=meanings.get(argument.arg, ""),
            )
        if given.kwarg is not None and isinstance(node, ast.FunctionDef):
            meaning = meanings.get(given.kwarg.arg, "")
            yield Argument(name=f"**{given.kwarg.arg}", type="", default="{}", meaning=meaning)
