"""The text of an answer after its own generation prompt, where a template does not render the two together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.data.encoding.message_forms import ASKED
from luthier.data.encoding.reasoning_block import CLOSE, has_reasoning
from luthier.data.encoding.reasoning_tags import after_closed_block, closed_block, empty_block, opened_tag
from luthier.data.encoding.template import Message, Template
from luthier.errors import DataError

_QUESTION = {"role": "user", "content": ASKED}


def assembled(template: Template, messages: Sequence[Message], tools: Any, prompt: str, where: str) -> tuple[str, int]:
    """The generation prompt of the last message followed by that message, and where the model begins to generate.

    Templates render an answer otherwise than after its prompt where the prompt opens a block for reasoning that the
    answer is then rendered without (DeepSeek-R1), and where they move the system prompt or the tools with the last
    question (Mistral). The block is filled with the answer's reasoning and closed; without reasoning, what closes it is
    context. DataError where the template does not let the two be put together.
    """
    answer = messages[-1]
    opening, closing = _opened(template, prompt)
    if not opening:
        closed = "" if has_reasoning(answer) else closed_block(prompt)
        rest = _rendered(template, messages[:-1], answer, tools, prompt, where)
        if rest is None and closed:
            rest = _rendered(template, messages[:-1], answer, tools, prompt[: -len(closed)], where)
            rest = None if rest is None else after_closed_block(closed, rest)
        if rest is None:
            raise _apart(template, answer, prompt, len(messages), where)
        return prompt + rest, len(prompt)
    reasoning, plain = _parted(answer, opening)
    rest = _rendered(template, messages[:-1], plain, tools, prompt[: -len(opening)], where)
    if rest is None:
        raise _apart(template, answer, prompt, len(messages), where)
    tag = opened_tag(prompt)
    if tag and (empty := empty_block(tag, rest)):  # an answer without reasoning is rendered with an empty block
        closing, rest = empty[1], rest[empty.end() :]
    rest = rest.removeprefix(opening)
    if not has_reasoning(answer):
        return prompt + closing + rest, len(prompt + closing)
    is_closed = reasoning.rstrip().endswith(closing.strip())
    return prompt + (reasoning if is_closed else reasoning.strip("\n") + closing) + rest, len(prompt)


def _opened(template: Template, prompt: str) -> tuple[str, str]:
    """What the generation prompt opens for the answer, and what closes it; empty texts where it opens nothing."""
    block = template.reasoning_block
    if block is not None and block.opening and prompt.endswith(block.opening):
        return block.opening, block.closing
    tag = opened_tag(prompt)
    return (tag.opening, tag.closing) if tag else ("", "")


def _parted(answer: Message, opening: str) -> tuple[str, Message]:
    """The reasoning of an answer after the opening, with what closes it in the content, and the answer without it."""
    plain = {key: value for key, value in answer.items() if key != "reasoning_content"}
    if reasoning := answer.get("reasoning_content"):
        return str(reasoning), plain
    content = answer.get("content") or ""
    if CLOSE not in content:
        return "", plain
    before, _, said = content.rpartition(CLOSE)
    blank = said[: len(said) - len(said.lstrip())]
    thought = before.partition("<think>")[2] if before.lstrip().startswith("<think>") else before
    thought = thought.removeprefix(opening[len(opening.rstrip()) :])
    return thought + CLOSE + blank, {**plain, "content": said.lstrip()}


def _rendered(
    template: Template, before: Sequence[Message], answer: Message, tools: Any, prompt: str, where: str
) -> str | None:
    """The text of an answer after a prompt, as in its conversation, or else as after a single question."""
    whole = template.render([*before, answer], tools, where=where)
    if whole.startswith(prompt) and len(whole) > len(prompt):
        return whole[len(prompt) :]
    asked = template.render([_QUESTION], tools, answer=True, where=where)
    opening, _ = _opened(template, asked)
    asked = asked[: len(asked) - len(opening)]
    alone = template.render([_QUESTION, answer], tools, where=where)
    rest = alone[len(asked) :]
    return rest if alone.startswith(asked) and rest and whole.endswith(rest) else None


def _apart(template: Template, answer: Message, prompt: str, count: int, where: str) -> DataError:
    block = template.reasoning_block
    ended = block is not None and prompt.rstrip().endswith(block.closing.strip() or "\0")
    if has_reasoning(answer) and (ended or closed_block(prompt)):
        switch = next((name for name in ("enable_thinking", "thinking") if name in template.source), None)
        switched_on = f"Set 'model.template_settings={{{switch}: true}}', or leave" if switch else "Leave"
        return DataError(
            f"The generation prompt of {template.name[:1].lower() + template.name[1:]} ends the reasoning before the "
            f"answer, and message {count} has reasoning.",
            where=where,
            hint=f"{switched_on} the reasoning out with data.reasoning=drop.",
        )
    return DataError(
        f"{template.name} renders the messages before message {count} differently in its generation prompt, so the "
        "beginning of the answer cannot be determined.",
        where=where,
        hint="Choose model.chat_template=chatml or plain, or a template that marks answers with {% generation %}.",
    )
