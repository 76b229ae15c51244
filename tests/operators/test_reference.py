"""Every argument that a Dag author can write is described, shown in an example that works, and used by some test.

Said of itself by each class and function, and read from its source (`docs/pages/classes.py`); held here against the
classes as Airflow sees them.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mlpipe import decorators, operators, sensors

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "docs"))

from pages.classes import Described, described, public  # noqa: E402 - the generator is a script, no part of the package

CLASSES = [name for room in (operators, sensors) for name in room.__all__ if name[0].isupper()]
HELPERS = [name for room in (operators, sensors) for name in room.__all__ if name[0].islower() and name != "pipeline"]
"""Functions that make no tasks."""

PUBLIC = [*CLASSES, "pipeline", *HELPERS, *decorators.__all__]
EVERY = "of all"
"""Where keywords stand that Airflow hands to every task: those of ``default_args``."""


def real(name: str) -> Any:
    """Return what an author gets by this name."""
    return next(getattr(room, name) for room in (operators, sensors, decorators) if name in room.__all__)


def family(name: str) -> list[Described]:
    """Return a class's description and those of ours that it inherits from."""
    known = described()
    bases = [base for base in known[name].inherits if base in known]
    return [known[name], *(item for base in bases for item in family(base))]


def arguments(name: str) -> dict[str, str]:
    """Return what is said of every argument of ours, the nearest class first."""
    found: dict[str, str] = {}
    for about in family(name):
        for argument in about.arguments:
            found.setdefault(argument.name, "")
            found[argument.name] = found[argument.name] or argument.meaning
    return found


def test_all_that_authors_import_is_known() -> None:
    assert set(PUBLIC) == {name for room in ("operators", "sensors", "decorators") for name in public(room)}
    assert set(PUBLIC) <= set(described())


@pytest.mark.parametrize("name", CLASSES)
def test_the_source_says_what_the_class_takes(name: str) -> None:
    """What the page is made of is what Python makes of the class: no argument of ours is overlooked."""
    ours = [kind for kind in real(name).__mro__ if kind.__module__.startswith("airflow_provider_mlpipe")]
    taken = {
        parameter.name
        for kind in ours
        if "__init__" in vars(kind)
        for parameter in inspect.signature(inspect.unwrap(vars(kind)["__init__"])).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }

    assert set(arguments(name)) == taken


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_has_a_line(name: str) -> None:
    silent = [argument for argument, meaning in arguments(name).items() if len(meaning) < 10]

    assert not silent, f"add them to the Args of {described()[name].module}.{name}: {silent}"


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_called_templated_is(name: str) -> None:
    said = {argument.name for about in family(name) for argument in about.arguments if argument.templated}
    # An as_of that is a mapping is kept, and templated, under a name of its own.
    fields = {"as_of" if field == "as_of_range" else field for field in real(name).template_fields}

    assert said & set(arguments(name)) == fields & set(arguments(name))


@pytest.mark.parametrize("name", CLASSES)
def test_its_xcoms_are_said(name: str) -> None:
    assert "return_value" in described()[name].xcom or "As for" in described()[name].xcom.capitalize()


# ------------------------------------------------------------------ examples


class Names(dict[str, Any]):
    """What an example refers to and does not make itself: a task, or a decorated function that becomes one."""

    def __missing__(self, name: str) -> Any:
        from airflow.providers.common.compat.sdk import BaseOperator

        if hasattr(builtins, name):
            raise KeyError(name)

        class Upstream(BaseOperator):
            def __call__(self) -> Any:
                return self.output

        self[name] = Upstream(task_id=f"upstream_{name}")
        return self[name]


@pytest.mark.parametrize("name", PUBLIC)
def test_its_example_makes_tasks(name: str) -> None:
    from airflow.sdk import DAG, Asset, task

    example = described()[name].example
    assert name in example
    names = Names({room_name: real(room_name) for room_name in PUBLIC}, task=task, DAG=DAG, Asset=Asset)
    with DAG("example", schedule=None) as dag:
        exec(compile(example, f"example of {name}", "exec"), {}, names)  # the text stands in our own docstrings

    ours = [each for each in dag.tasks if not each.task_id.startswith("upstream_")]
    if name in HELPERS:
        return
    kinds = {getattr(each, "custom_operator_name", each.task_type) for each in ours}
    assert kinds & {name, f"@task.{name}"} or (name == "pipeline" and len(ours) == 6)


# ------------------------------------------------------------------ tests


@cache
def used() -> dict[str, set[str]]:
    """Return the keywords by which tests and example Dags call each of ours, ``.partial()`` and ``.expand()`` too."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((REPO / "tests").rglob("*.py")) + sorted((REPO / "dags").rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in calls:
            name = called(call.func)
            if name in PUBLIC:
                found[name] |= {keyword.arg for keyword in call.keywords if keyword.arg}
                for keyword in call.keywords:
                    if keyword.arg is None:  # **what: a dictionary, or what a helper was called with
                        given = keys(keyword.value, tree)
                        found[name] |= given or {each.arg for other in calls for each in other.keywords if each.arg}
            for keyword in call.keywords:
                if keyword.arg == "default_args":
                    found[EVERY] |= keys(keyword.value, tree)
    return found


def called(function: ast.expr) -> str:
    """Return the name in ``Name(...)``, ``Name.partial(...)``, ``Name.partial(...).expand(...)``, ``task.name``."""
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        inner = function.value
        if isinstance(inner, ast.Name) and inner.id == "task":
            return function.attr
        if function.attr in {"partial", "expand", "override"}:
            return called(inner.func if isinstance(inner, ast.Call) else inner)
        return function.attr
    return ""


def keys(value: ast.expr, tree: ast.Module) -> set[str]:
    """Return the keys of ``**{...}``, or of ``**name`` if the module assigns a dictionary to that name."""
    if isinstance(value, ast.Dict):
        return {key.value for key in value.keys if isinstance(key, ast.Constant)}
    if isinstance(value, ast.BinOp):
        return keys(value.left, tree) | keys(value.right, tree)
    if isinstance(value, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(to, ast.Name) and to.id == value.id for to in node.targets)
        ]
        return {key for item in assigned if not isinstance(item, ast.Name) for key in keys(item, tree)}
    return set()


def relatives(owner: str) -> set[str]:
    """Return the public classes that have what `owner` declares."""
    return {name for name in PUBLIC if owner in {about.name for about in family(name)}}


@pytest.mark.parametrize("owner", sorted({about.name for name in PUBLIC for about in family(name) if about.arguments}))
def test_every_argument_is_used_by_a_test(owner: str) -> None:
    """What several classes inherit is tested with one of them."""
    seen = used()[EVERY].union(*(used()[name] for name in relatives(owner)))
    own = {argument.name for argument in described()[owner].arguments}
    own -= {"python_callable"} | {name for name in own if name.startswith("**")}
    if owner in HELPERS:
        own = set()  # what they take they take by position, and their own tests say what comes of it
    if owner == "pipeline":
        own -= {"feature_set", "inputs"}  # by position

    assert own <= seen, f"no test and no Dag gives {owner} {sorted(own - seen)}"
