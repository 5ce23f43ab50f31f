"""Rendering of chat templates in transformers' sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from jinja2.exceptions import SecurityError, TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from luthier.data.encoding.message_forms import (
    ASKED,
    SAID,
    CallForm,
    Message,
    call_form,
    in_parts,
    reasoning_form,
    takes_parts,
)
from luthier.data.encoding.reasoning_block import ReasoningBlock
from luthier.data.encoding.render_limit import limited_rendering
from luthier.data.encoding.template_check import check_template
from luthier.errors import DataError, Refused
from luthier.models.template_settings import with_settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARKS = re.compile(r"\{%-?\s*generation\b")
_marking = Lock()  # transformers stores the marks of a rendering on the compiled template, which threads share

__all__ = ["Message", "Template", "template_takes_parts"]


class Template:
    """Renders conversations. `name` is the subject of error messages; `has_marks`: it contains `{% generation %}`.

    Messages are in OpenAI's form; where the template takes tool calls or reasoning in another, they are brought into
    that (`CallForm`). A template that is not one of luthier's is checked when this is constructed (`check_template`).
    DataError, at `where`, if it cannot render a conversation; Refused if it violates the sandbox.
    """

    def __init__(self, source: str, name: str, variables: dict[str, Any]) -> None:
        self.source, self.name, self._variables = source, name, variables
        self.has_marks = bool(_MARKS.search(source))
        check_template(source, name)

    def render(self, messages: Sequence[Message], tools: Any = None, *, answer: bool = False, where: str = "") -> str:
        """The text of the messages; with `answer`, followed by the generation prompt."""
        text = self._render(self._formed(messages), tools, where, answer=answer, marked=False)[0]
        return text if answer else text.removesuffix(self.standing_prompt)

    def render_marked(
        self, messages: Sequence[Message], tools: Any = None, *, where: str = ""
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text of the messages, and the characters [start, stop) of each marked answer."""
        with _marking:
            text, marks = self._render(self._formed(messages), tools, where, answer=False, marked=True)
        return text.removesuffix(self.standing_prompt), marks

    def with_settings(self, settings: Mapping[str, Any]) -> Template:
        """The same template with other settings (`model.template_settings`)."""
        return Template(with_settings(self.source, settings), self.name, self._variables)

    @property
    def end_of_text(self) -> str:
        """The tokenizer's end-of-sequence token."""
        return str(self._variables.get("eos_token") or "")

    @cached_property
    def standing_prompt(self) -> str:
        """The generation prompt that the template writes after a whole conversation, too; else an empty text."""
        asked: Message = {"role": "user", "content": ASKED}
        try:
            prompt = self._raw([asked], None)
            if prompt != self._render([asked], None, "", answer=True, marked=False)[0]:
                return ""
            said = self._raw([asked, {"role": "assistant", "content": SAID}], None).rpartition(SAID)[2]
        except DataError:
            return ""
        after = said.partition(self.end_of_text or "\0")[2]
        return after if after.strip() and prompt.endswith(after) else ""

    @cached_property
    def ends_conversations(self) -> bool:
        """Whether the end-of-sequence token stands after the last turn alone, whose own end is before it."""
        asked: Message = {"role": "user", "content": ASKED}
        try:
            whole = self._raw([asked, {"role": "assistant", "content": SAID}], None)
            further = self._raw([asked, {"role": "assistant", "content": SAID}, asked], None)
        except DataError:
            return False
        end = self.end_of_text
        turn = whole.removesuffix(end)
        return bool(end) and turn != whole and not further.startswith(whole) and further.startswith(turn)

    @cached_property
    def call_form(self) -> CallForm:
        """The form in which the template takes tool calls."""
        return call_form(self._raw)

    @cached_property
    def reasoning_block(self) -> ReasoningBlock | None:
        """The block in which the template shows reasoning; None where it shows none."""
        return ReasoningBlock.of(self)

    @cached_property
    def takes_parts(self) -> bool:
        """Whether the template shows the text of a message as a list of parts alone."""
        return takes_parts(self._raw)

    @cached_property
    def _reasoning_form(self) -> Callable[[Message], Message]:
        return reasoning_form(self._raw, self.source)

    def _formed(self, messages: Sequence[Message]) -> list[Message]:
        formed = list(messages)
        if any(message.get("reasoning_content") for message in formed):
            formed = [self._reasoning_form(one) if one.get("reasoning_content") else one for one in formed]
        if any(message.get("tool_calls") or message["role"] == "tool" for message in formed):
            formed = self.call_form(formed)
        return [in_parts(message) for message in formed] if self.takes_parts else formed

    def _raw(self, messages: list[Message], tools: Any) -> str:
        return self._render(messages, tools, "", answer=False, marked=False)[0]

    def _render(
        self, messages: list[Message], tools: Any, where: str, *, answer: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        try:
            with limited_rendering(self.name, where=where):
                rendered = render_jinja_template(
                    [[_with_reasoning_names(message) for message in messages]],
                    tools=tools,
                    chat_template=self.source,
                    add_generation_prompt=answer,
                    return_assistant_tokens_mask=marked,
                    **self._variables,
                )
        except SecurityError as error:
            raise Refused(f"{self.name} violates the sandbox: {error}") from error
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{self.name} cannot render this conversation: {str(error).rstrip('.')}.",
                where=where,
                hint="Change the record, or choose another template with model.chat_template.",
            ) from error
        texts, marks = cast("tuple[list[str], list[list[tuple[int, int]]]]", rendered)
        return texts[0], marks[0] if marks else []


def template_takes_parts(source: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a template, with the tokenizer's special tokens, shows a text as a list of parts alone."""
    variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return Template(source, "The chat template", variables).takes_parts


def _with_reasoning_names(message: Message) -> Message:
    """The message with its reasoning under each name that templates read it by; unchanged without reasoning."""
    if not (reasoning := message.get("reasoning_content")):
        return message
    return {"thinking": reasoning, "reasoning": reasoning, **message}
