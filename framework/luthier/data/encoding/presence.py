"""The check that what a conversation gives is in its rendered text: what is trained must be, the rest is named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from luthier.data.encoding.answer_spans import RenderedAnswers, rendered_answers
from luthier.data.encoding.given_texts import (
    CALLS,
    DEFINITIONS,
    IDS,
    NAMES,
    REASONING,
    given_texts,
    left_out,
)
from luthier.data.encoding.probe import Probe
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.data.reasoning import inline_reasoning
from luthier.errors import DataError, LuthierError

Missing = frozenset[tuple[int | None, str]]
"""Messages, None for the definitions of tools, and the kinds of texts that are not rendered of them."""

_CONTEXT = {DEFINITIONS, IDS, NAMES}
_SHOWING = "model.chat_template=chatml or plain"


def check_given(
    template: Template,
    messages: Sequence[Message],
    tools: Any,
    wanted: Collection[int],
    answers: RenderedAnswers,
    where: str,
) -> Missing:
    """What the template leaves out of the context of the wanted messages; of these themselves nothing may be missing.

    Each text is searched in the rendering, and a conversation of the same form with unmistakable texts is rendered to
    see what is left out whatever it says. DataError for a text of a wanted message that is not in its span, TurnsApart
    where other messages follow that one, as an example that ends with it may have it.
    """
    missing = _missing(messages, tools, wanted, answers) | _missing_of_form(template, messages, tools, wanted)
    for number in sorted(wanted):
        kinds = [kind for message, kind in sorted(missing, key=str) if message == number and kind not in _CONTEXT]
        if kinds and number < len(messages) - 1:
            after = [len(messages) - 1 - one for one in sorted(wanted)]
            raise TurnsApart.rendered_otherwise(template.name, number, after, where)
        if kinds:
            raise _not_rendered(template, messages, tools, kinds[0], where)
    return missing


def missing_texts(text: str, messages: Sequence[Message], tools: Any) -> Missing:
    """What is nowhere in a rendered text."""
    return frozenset((given.message, given.kind) for given in left_out(text, list(given_texts(messages, tools))))


def named(missing: Missing, wanted: Collection[int]) -> frozenset[str]:
    """The kinds of texts that are left out; reasoning of messages that are no target is that of earlier turns."""
    return frozenset(
        "reasoning of earlier turns" if kind == REASONING else "earlier tool calls" if kind == CALLS else kind
        for message, kind in missing
        if message not in wanted or kind in _CONTEXT
    )


def _missing(messages: Sequence[Message], tools: Any, wanted: Collection[int], answers: RenderedAnswers) -> Missing:
    texts = list(given_texts(messages, tools))
    found = set(left_out(answers.text, texts))
    for number, start, stop in answers.spans:
        own = [given for given in texts if given.message == number and given.kind not in _CONTEXT]
        found.update(left_out(answers.text[start:stop], own))
    return frozenset((given.message, given.kind) for given in found)


def _missing_of_form(template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int]) -> Missing:
    """What is left out of a conversation of the same form; nothing where the template refuses that one."""
    probe = Probe()
    probed, of_tools = probe.messages(messages), probe.tools(tools)
    try:
        answers = rendered_answers(template, probed, of_tools, wanted, "")
    except LuthierError:
        return frozenset()
    return _missing(probed, of_tools, wanted, answers)


def _not_rendered(template: Template, messages: Sequence[Message], tools: Any, kind: str, where: str) -> DataError:
    what = {REASONING: "reasoning", CALLS: "tool calls"}.get(kind, "content")
    way_out = f"choose a template that shows {'it' if kind != CALLS else 'them'}, such as {_SHOWING}"
    other = "give the message weight 0, so that it is not trained"
    if kind == REASONING:
        other = "leave it out with data.reasoning=drop"
        way_out = " or ".join([*_switched_on(template, messages, tools), way_out])
    return DataError(
        f"{template.name} does not render the {what} of message {len(messages)} ({messages[-1]['role']}), which is to "
        "be trained.",
        where=where,
        hint=f"{way_out[0].upper()}{way_out[1:]}, or {other}.",
    )


def _switched_on(template: Template, messages: Sequence[Message], tools: Any) -> Iterator[str]:
    """The settings with which the template would render the reasoning of the last message; each was tried."""
    *before, answer = messages
    for name in ("enable_thinking", "thinking"):
        on = template.with_settings({name: True}) if name in template.source else None
        if on is not None and _shows_reasoning(on, messages, tools):
            yield f"set 'model.template_settings={{{name}: true}}'"
            break
    inline = inline_reasoning(answer) if answer.get("reasoning_content") else None
    if inline and _shows_reasoning(template, [*before, inline], tools):
        yield "write it into the text with data.reasoning=inline"


def _shows_reasoning(template: Template, messages: Sequence[Message], tools: Any) -> bool:
    wanted = [len(messages) - 1]
    try:
        answers = rendered_answers(template, messages, tools, wanted, "")
    except LuthierError:
        return False
    return (wanted[0], REASONING) not in _missing(messages, tools, wanted, answers)
