"""A chat template, rendered by transformers in Jinja's sandbox."""

from __future__ import annotations

import re
from collections.abc import Sequence
from threading import Lock
from typing import Any, cast

from jinja2.exceptions import SecurityError, TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from luthier.data.encoding.template_check import check_template
from luthier.errors import DataError, Refused
from luthier.models.content_parts import in_parts, takes_parts

_MARKS = re.compile(r"\{%-?\s*generation\b")
_marking = Lock()  # transformers stores the marks of a rendering on the compiled template, which threads share

Message = dict[str, Any]


class Template:
    """Renders conversations. `name` is the subject of error messages; `has_marks`: it contains `{% generation %}`.

    A template that shows texts only as parts of a message is given them so. One that is not luthier's own is checked
    when this is constructed (`check_template`). DataError, at `where`, if it cannot render a conversation; Refused if
    it violates the sandbox.
    """

    def __init__(self, source: str, name: str, variables: dict[str, Any]) -> None:
        self.source, self.name, self._variables = source, name, variables
        self.has_marks = bool(_MARKS.search(source))
        check_template(source, name)
        self._in_parts = takes_parts(source, tuple(variables.items()))

    def render(self, messages: Sequence[Message], tools: Any = None, *, answer: bool = False, where: str = "") -> str:
        """The text of the messages; with `answer`, followed by the generation prompt."""
        return self._render(messages, tools, where, answer=answer, marked=False)[0]

    def render_marked(
        self, messages: Sequence[Message], tools: Any = None, *, where: str = ""
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text of the messages, and the characters [start, stop) of each marked answer."""
        with _marking:
            return self._render(messages, tools, where, answer=False, marked=True)

    def _render(
        self, messages: Sequence[Message], tools: Any, where: str, *, answer: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        try:
            rendered = render_jinja_template(
                [list(map(in_parts, messages)) if self._in_parts else list(messages)],
                tools=tools,
                chat_template=self.source,
                add_generation_prompt=answer,
                return_assistant_tokens_mask=marked,
                **self._variables,
            )
        except SecurityError as error:
            raise Refused(f"{self.name} violates the sandbox: {error}") from error
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, RecursionError) as error:
            raise DataError(
                f"{self.name} cannot render this conversation: {error}.",
                where=where,
                hint="Change the record, or choose another template with model.chat_template.",
            ) from error
        texts, marks = cast("tuple[list[str], list[list[tuple[int, int]]]]", rendered)
        return texts[0], marks[0] if marks else []
