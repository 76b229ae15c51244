"""docs/reference/operators.md, from operators, sensors and decorators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pages.classes import ROOMS, described, public
from pages.markdown import anchor, code, prose, table

if TYPE_CHECKING:
    from pages.classes import Argument, Described

__all__ = ["page"]

INTRODUCTION = """Import them from `airflow_provider_mlpipe.operators`, `.sensors` and `.decorators`. Operators and
sensors take keywords only, and what Airflow's own take besides. Nothing is read or looked up when a Dag file is parsed.
*Templated* arguments may hold Jinja, in text and anywhere inside lists and mappings.
"""


def page() -> str:
    """Return the page: per class what it does, its XComs, an example, its arguments; then what several have."""
    known = described()
    parts = ["# Operators, sensors, decorators\n", INTRODUCTION]
    shared: dict[str, None] = {}
    for room in ROOMS:
        title = room.capitalize()
        parts.append(f"## {title}\n")
        parts.append(table(("Class", "What it does"), [(_link(name), _summary(known[name])) for name in public(room)]))
        for name in public(room):
            parts.append(_section(known[name]))
            shared |= dict.fromkeys(_ancestors(known[name], known))
    parts.append("## What several have\n")
    parts += [_section(known[name]) for name in sorted(shared, key=lambda name: (known[name].module, name))
              if known[name].arguments]  # fmt: skip
    return "\n".join(parts)


def _section(about: Described) -> str:
    known = described()
    parts = [f"### {about.name}\n", *(f"{_paragraph(part)}\n" for part in about.text.split("\n\n"))]
    if about.xcom:
        parts.append(f"XCom: {prose(about.xcom)}\n")
    if about.example:
        parts.append(f"```python\n{about.example}\n```\n")
    if about.arguments:
        parts.append(table(("Argument", "Type", "Default", "Templated", "Meaning"), map(_row, about.arguments)))
    more = [f"{_link(name)} ({', '.join(code(argument.name) for argument in known[name].arguments)})"
            for name in _ancestors(about, known) if known[name].arguments]  # fmt: skip
    if more:
        parts.append(f"Also those of {', '.join(more)}.\n")
    return "\n".join(parts)


def _row(argument: Argument) -> tuple[str, str, str, str, str]:
    default = "**required**" if not argument.default else "" if argument.default == "None" else code(argument.default)
    meaning = re.sub(r",? ?\(templated\)", "", argument.meaning)
    return code(argument.name), code(argument.type), default, "yes" if argument.templated else "", prose(meaning)


def _ancestors(about: Described, known: dict[str, Described]) -> list[str]:
    """Return the classes of ours that it inherits from, nearest first."""
    found: dict[str, None] = {}
    for name in about.inherits:
        if name in known:
            found |= {name: None} | dict.fromkeys(_ancestors(known[name], known))
    return list(found)


def _paragraph(text: str) -> str:
    """Return a paragraph; lists keep their lines."""
    return text.replace("``", "`") if text.lstrip().startswith("* ") else prose(text)


def _link(name: str) -> str:
    return f"[{code(name)}](#{anchor(name)})"


def _summary(about: Described) -> str:
    return prose(about.text.split("\n\n")[0])
