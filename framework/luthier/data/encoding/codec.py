"""The encoder of one tokenizer and its chat templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from luthier.contracts.examples import Example
from luthier.data.encoding.answer_frames import AnswerFrames
from luthier.data.encoding.message_ends import MessageBoundaries, message_boundaries, message_weight
from luthier.data.encoding.presence import missing_texts, named
from luthier.data.encoding.shielded_tokenizer import ShieldedTokenizer
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.tokenized_messages import TokenizedMessages
from luthier.data.encoding.turns import Turns, exact_turns
from luthier.errors import DataError, LuthierError
from luthier.models.templates import file_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_codecs: WeakKeyDictionary[PreTrainedTokenizerBase, Codec] = WeakKeyDictionary()
_making = Lock()
LEFT_OUT = "left_out: "
"""The beginning of the names of counts of what templates leave out."""


class Codec:
    """Encodes conversations and texts with one tokenizer; several threads may use it.

    `counts`: `special_text`, examples whose content contains the text of special tokens, which is encoded as plain
    text; `moved_boundaries`, answers that begin inside a token, before which the text is split; `left_out: <kind>`,
    conversations of which the template does not render texts of this kind.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = ShieldedTokenizer(tokenizer)
        self.counts: Counter[str] = Counter()
        self._counting = Lock()
        self._pretrained = ref(tokenizer)
        self._templates: dict[str, tuple[Template, AnswerFrames]] = {}

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Codec:
        """The codec of a tokenizer, created on first use."""
        codec = _codecs.get(tokenizer)
        if codec is None:
            with _making:
                codec = _codecs.get(tokenizer) or cls(tokenizer)
                _codecs[tokenizer] = codec
        return codec

    def tokenize_ahead(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with `TokenizedMessages`, tokenized in one batch, which is faster than one by one.

        Examples without messages, and those with the text of an added token, are unchanged; so are all examples where
        one cannot be rendered: its error is raised, with its place, when it is encoded.
        """
        chats = {
            number: (example["messages"], example.get("tools"))
            for number, example in enumerate(examples)
            if "messages" in example and not self.tokenizer.touches_tokens([example["messages"], example.get("tools")])
        }
        try:
            texts = [self._template(tools)[0].render(messages, tools) for messages, tools in chats.values()]
        except LuthierError:
            return list(examples)
        result = list(examples)
        for number, text, ids in zip(chats, texts, self.tokenizer.encode_all(texts), strict=True):
            result[number] = {**examples[number], "messages": TokenizedMessages(chats[number][0], text, ids)}
        return result

    def turns(self, messages: Sequence[Message], tools: Any, weights: Sequence[float], where: str) -> Turns:
        """The ids of a conversation, and the spans of the turns whose weight is not 0."""
        template, frames = self._template(tools)
        wanted = frozenset(number for number, weight in enumerate(weights) if weight)
        ahead = messages if isinstance(messages, TokenizedMessages) else None
        if ahead is None and (self.tokenizer.touches_tokens(messages) or self.tokenizer.touches_tokens(tools)):
            found = exact_turns(template, self.tokenizer, *self._shielded(messages, tools), wanted, where)
        else:
            shape = (bool(tools), wanted, tuple(map(_kind, messages)))
            turns = self._by_frames(template, frames, shape, messages, tools, wanted, where)
            if turns is None:
                turns = exact_turns(template, self.tokenizer, messages, tools, wanted, where)
                frames.learn(template, self.tokenizer, turns, messages, tools)
                frames.verify(shape, turns, messages, wanted)
            found = turns
        self._count("moved_boundaries", found.moved)
        for kind in named(found.missing, wanted):
            self._count(f"{LEFT_OUT}{kind}", 1)
        return found

    def _by_frames(
        self,
        template: Template,
        frames: AnswerFrames,
        shape: Any,
        messages: Sequence[Message],
        tools: Any,
        wanted: frozenset[int],
        where: str,
    ) -> Turns | None:
        """The turns as `AnswerFrames` finds them, if it is to be trusted; None where they must be found exactly."""
        known = frames.missing(shape)
        if known is None:
            return None
        if isinstance(messages, TokenizedMessages):
            text, ids = messages.taken()
        else:
            text = template.render(messages, tools, where=where)
            ids = self.tokenizer.encode(text)
        if not missing_texts(text, messages, tools) <= known:
            return None
        return frames.find(ids, messages, wanted, shape)

    def prompt(self, messages: Sequence[Message], tools: Any, where: str) -> list[int]:
        """The ids of a conversation and of the generation prompt after it."""
        template, _ = self._template(tools)
        if self.tokenizer.touches_tokens(messages) or self.tokenizer.touches_tokens(tools):
            messages, tools = self._shielded(messages, tools)
        text = template.render(messages, tools, answer=True, where=where)
        for kind in named(missing_texts(text, messages, tools), ()):
            self._count(f"{LEFT_OUT}{kind}", 1)
        return self.tokenizer.encode(text)

    def boundaries(self, messages: Sequence[Message], tools: Any) -> Iterator[MessageBoundaries]:
        """The ids that a conversation may have, and the end of each message in them."""
        if self.tokenizer.touches_tokens(messages) or self.tokenizer.touches_tokens(tools):
            messages, tools = self.tokenizer.shield_messages(messages)[0], self.tokenizer.shield(tools)[0]
        return message_boundaries(self._template(tools)[0], self.tokenizer, messages, tools)

    def left_out(self, messages: Sequence[Message], tools: Any) -> frozenset[str]:
        """The kinds of texts that the template leaves out of a conversation, where that can be encoded."""
        trained = [n for n, one in enumerate(messages) if one["role"] == "assistant" and message_weight(one) != 0]
        for wanted in (trained, trained[-1:]):
            try:
                found = exact_turns(self._template(tools)[0], self.tokenizer, messages, tools, wanted, "")
            except LuthierError:
                continue
            return named(found.missing, wanted)
        return frozenset()

    def text(self, text: str) -> list[int]:
        """The ids of plain text, without those that the tokenizer adds by itself."""
        if self.tokenizer.touches_tokens(text):
            text, hits = self.tokenizer.shield(text)
            self._count("special_text", bool(hits))
        return self.tokenizer.encode(text)

    @property
    def template(self) -> Template:
        """The chat template for conversations without tools; DataError where there is none."""
        return self._template(None)[0]

    def _shielded(self, messages: Sequence[Message], tools: Any) -> tuple[Sequence[Message], Any]:
        messages, hits = self.tokenizer.shield_messages(messages)
        tools, of_tools = self.tokenizer.shield(tools)
        self._count("special_text", bool(hits + of_tools))
        return messages, tools

    def _count(self, what: str, number: int) -> None:
        if number:
            with self._counting:
                self.counts[what] += number

    def _template(self, tools: Any) -> tuple[Template, AnswerFrames]:
        tokenizer = self._pretrained()
        assert tokenizer is not None, "the caller of the codec holds the tokenizer"
        try:
            source = tokenizer.get_chat_template(None, tools)
        except ValueError as error:
            raise DataError(
                f"The tokenizer {_short(tokenizer)} has no chat template, so messages cannot be encoded.",
                hint="Set model.chat_template to chatml, to plain, or to a .jinja file of your own.",
            ) from error
        known = self._templates.get(source)
        if known is None:
            variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
            name = file_of(source) or f"of {_short(tokenizer)}"
            template = Template(source, f"The chat template {name}", variables)
            known = self._templates.setdefault(source, (template, AnswerFrames()))
        return known


def _kind(message: Message) -> tuple[Any, ...]:
    """What of a message decides how templates lay it out: its role, the keys that it has, and the number of calls."""
    return message["role"], *filter(message.get, message), len(message.get("tool_calls") or ())


def _short(tokenizer: PreTrainedTokenizerBase) -> str:
    return Path(tokenizer.name_or_path).name or type(tokenizer).__name__
