"""What is known of a tokenizer and its chat template, found out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from luthier.contracts.examples import Example
from luthier.data.encoding.answer_frames import Habits
from luthier.data.encoding.plain import PlainText
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns import Borders, Turns, borders, exact
from luthier.errors import DataError, LuthierError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_codecs: WeakKeyDictionary[PreTrainedTokenizerBase, Codec] = WeakKeyDictionary()
_making = Lock()


class Codec:
    """Encodes the conversations and texts of one tokenizer; threads may share it.

    `counts` says what was out of the ordinary: `special_text`, records whose content holds the text of special
    tokens, which was encoded as plain text; `moved_boundaries`, answers that began in the middle of a token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.plain = PlainText(tokenizer)
        self.counts: Counter[str] = Counter()
        self._counting = Lock()
        self._tokenizer = ref(tokenizer)
        self._templates: dict[str, tuple[Template, Habits]] = {}
        self._ahead: dict[int, tuple[Sequence[Message], list[int]]] = {}

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Codec:
        """The codec of a tokenizer, made when it is first asked for."""
        codec = _codecs.get(tokenizer)
        if codec is None:
            with _making:
                codec = _codecs.get(tokenizer) or cls(tokenizer)
                _codecs[tokenizer] = codec
        return codec

    def ahead(self, examples: Sequence[Example]) -> Callable[[], int]:
        """Render and tokenise the conversations of examples in one go, which is faster than one by one.

        Whoever then asks for the turns of one of these very lists of messages is given what was found. Call what is
        returned in the end: it forgets the rest and says how many were asked for.
        """
        said = [(example["messages"], example.get("tools")) for example in examples if "messages" in example]
        said = [(messages, tools) for messages, tools in said if not self.plain.touches_tokens([messages, tools])]
        try:
            texts = [self._template(tools)[0].render(messages, tools) for messages, tools in said]
        except LuthierError:
            return lambda: 0  # it is said again, with its place, when this example's turn comes
        for (messages, _), ids in zip(said, self.plain.encode_all(texts), strict=True):
            self._ahead[id(messages)] = messages, ids
        return lambda: sum(self._ahead.pop(id(messages), None) is None for messages, _ in said)

    def turns(self, messages: Sequence[Message], tools: Any, weights: Sequence[float], where: str) -> Turns:
        """The ids of a conversation, and where the turns stand whose weight is not 0."""
        template, habits = self._template(tools)
        wanted = frozenset(number for number, weight in enumerate(weights) if weight)
        asked, ids = self._ahead.pop(id(messages), (None, []))
        ready = asked is messages
        if not ready and (self.plain.touches_tokens(messages) or self.plain.touches_tokens(tools)):
            truth = exact(template, self.plain, *self._shielded(messages, tools), wanted, where)
        else:
            kinds = tuple((message["role"], *filter(message.get, message)) for message in messages)
            shape = (bool(tools), wanted, kinds)
            if habits.trusted(shape):
                ids = ids if ready else self.plain.encode(template.render(messages, tools, where=where))
                found = habits.find(ids, messages, wanted)
                if found is not None:
                    return found
            truth = exact(template, self.plain, messages, tools, wanted, where)
            habits.learn(template, self.plain, truth, messages, tools)
            habits.compare(shape, truth, messages, wanted)
        self._count("moved_boundaries", truth.moved)
        return truth

    def asked(self, messages: Sequence[Message], tools: Any, where: str) -> list[int]:
        """The ids of a conversation up to where the model's next answer begins."""
        template, _ = self._template(tools)
        if self.plain.touches_tokens(messages) or self.plain.touches_tokens(tools):
            messages, tools = self._shielded(messages, tools)
        return self.plain.encode(template.render(messages, tools, answer=True, where=where))

    def borders(self, messages: Sequence[Message], tools: Any) -> Borders:
        """The ids of a conversation, and how many of them each message and those before it make."""
        if self.plain.touches_tokens(messages) or self.plain.touches_tokens(tools):
            (messages, tools), _ = self.plain.shield([messages, tools])
        return borders(self._template(tools)[0], self.plain, messages, tools)

    def text(self, text: str) -> list[int]:
        """The ids of plain text, without any that the tokenizer would add by itself."""
        if self.plain.touches_tokens(text):
            text, hits = self.plain.shield(text)
            self._count("special_text", bool(hits))
        return self.plain.encode(text)

    @property
    def template(self) -> Template:
        """The chat template for conversations without tools; DataError where there is none."""
        return self._template(None)[0]

    def _shielded(self, messages: Sequence[Message], tools: Any) -> tuple[Sequence[Message], Any]:
        (messages, tools), hits = self.plain.shield([messages, tools])
        self._count("special_text", bool(hits))
        return messages, tools

    def _count(self, what: str, number: int) -> None:
        if number:
            with self._counting:
                self.counts[what] += number

    def _template(self, tools: Any) -> tuple[Template, Habits]:
        tokenizer = self._tokenizer()
        assert tokenizer is not None, "whoever encodes holds the tokenizer"
        try:
            source = tokenizer.get_chat_template(None, tools)
        except ValueError as error:
            raise DataError(
                f"The tokenizer {_short(tokenizer)} has no chat template, so messages cannot become text.",
                hint="Set model.chat_template to chatml, to plain, or to a .jinja file of your own.",
            ) from error
        found = self._templates.get(source)
        if found is None:
            variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
            template = Template(source, f"The chat template of {_short(tokenizer)}", variables)
            found = self._templates.setdefault(source, (template, Habits()))
        return found


def _short(tokenizer: PreTrainedTokenizerBase) -> str:
    return Path(tokenizer.name_or_path).name or type(tokenizer).__name__
