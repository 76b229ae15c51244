"""How our expectations read in Great Expectations' own pages: one sentence for its old renderers and its new ones."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
    render_suite_parameter_string,
)
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.renderer_configuration import RendererValueType

__all__ = ["Judged", "RenderedBatchExpectation", "RenderedColumnExpectation"]

Judged = dict[str, Any]
"""What an expectation makes of its metrics: ``success`` and ``result``."""


class _Sentence:
    """The sentence of an expectation is one template; both of GX's renderers use it."""

    template: ClassVar[str] = ""
    shown: ClassVar[tuple[str, ...]] = ()
    subject: ClassVar[str] = ""
    """What the sentence begins with on a page that is not about one column."""

    @classmethod
    def _prescriptive_template(cls, renderer_configuration: Any) -> Any:  # noqa: ANN401
        for name in cls.shown:
            renderer_configuration.add_param(name=name, param_type=[RendererValueType.STRING, RendererValueType.NUMBER])
        renderer_configuration.template_str = f"{cls.subject}{cls.template}"
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    @render_suite_parameter_string  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls,
        configuration: Any,  # noqa: ANN401
        result: Any = None,  # noqa: ANN401, ARG003
        runtime_configuration: dict[str, Any] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> list[Any]:
        with_subject = (runtime_configuration or {}).get("include_column_name") is not False
        content = {
            "template": f"{cls.subject}{cls.template}" if with_subject else cls.template,
            "params": {name: configuration.kwargs.get(name) for name in cls.shown},
            "styling": (runtime_configuration or {}).get("styling"),
        }
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=content)]


class RenderedColumnExpectation(_Sentence, ColumnAggregateExpectation):  # type: ignore[misc] # GX ships no types for us
    """An expectation of ours on one column."""

    subject: ClassVar[str] = "$column "
    shown: ClassVar[tuple[str, ...]] = ("column",)


class RenderedBatchExpectation(_Sentence, BatchExpectation):  # type: ignore[misc]
    """An expectation of ours on whole rows or the whole table."""
