"""Tokenization in which content is plain text, even where it contains the text of a special token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

from luthier.data.encoding.message_forms import Message
from luthier.errors import DataError
from luthier.models.backend import backend_of, uncut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A lone surrogate: text that can be tokenized contains none, so each occurrence is a mark of `shield`.
MARK = "\udcff"
_TAGS = re.compile(r"(</?think>)")
_ESCAPED = "\\udcff"  # as a template's `tojson` may write it


class ShieldedTokenizer:
    """Encodes rendered text so that only the special tokens of the template become special ids.

    `shield` marks special-token text in content before the template is rendered; `encode` recognises the template's own
    special tokens by their lack of a mark. It replaces them by unguessable names, which are special tokens of a copy of
    the tokenizer that encodes the text of all others as plain text. Text without marks is encoded by the tokenizer
    itself. DataError where the tokenizer is not one of the `tokenizers` library.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if (backend := backend_of(tokenizer)) is None:
            raise DataError(
                f"The tokenizer {type(tokenizer).__name__} has no tokenizer.json behind it.",
                hint="Save it once with a fast tokenizer of transformers, and name that folder.",
            )
        self._backend = backend
        named = set(tokenizer.all_special_tokens)
        self._added: dict[int, AddedToken] = dict(tokenizer.added_tokens_decoder)
        self.special: dict[str, int] = {
            token.content: number for number, token in self._added.items() if token.special or token.content in named
        }
        self.special_ids = frozenset(self.special.values())
        self._forgeable = self.special_ids - {tokenizer.unk_token_id}
        self._special = _any_of(self.special)
        self._any_added = _any_of(token.content for token in self._added.values())
        self._copy: Tokenizer | None = None

    def touches_tokens(self, value: Any) -> bool:
        """Whether a JSON value contains the text of an added token, special or not."""
        if isinstance(value, str):
            return self._any_added.search(value) is not None
        if isinstance(value, dict):
            return any(map(self.touches_tokens, value.values()))
        return isinstance(value, (list, tuple)) and any(map(self.touches_tokens, value))

    def shield(self, value: Any) -> tuple[Any, int]:
        """The JSON value with each special-token text in it marked, and their number."""
        if isinstance(value, str):
            return self._special.subn(lambda match: match[0][:1] + MARK + match[0][1:], value)
        if isinstance(value, dict):
            pairs = {key: self.shield(inner) for key, inner in value.items()}
            return {key: inner for key, (inner, _) in pairs.items()}, sum(hits for _, hits in pairs.values())
        if isinstance(value, (list, tuple)):
            items = [self.shield(inner) for inner in value]
            return [inner for inner, _ in items], sum(hits for _, hits in items)
        return value, 0

    def shield_messages(self, messages: Sequence[Message]) -> tuple[list[Message], int]:
        """The messages with each special-token text in them marked, and their number.

        The tags of a `<think>` block of an answer are not marked: they are what the model is to write.
        """
        shielded: list[Message] = []
        total = 0
        for message in messages:
            made, hits = self.shield(message)
            if message["role"] == "assistant" and "</think>" in (message.get("content") or ""):
                pieces = _TAGS.split(message["content"])
                made["content"] = "".join(one if _TAGS.fullmatch(one) else self.shield(one)[0] for one in pieces)
                hits -= sum(one in self.special for one in pieces)
            shielded.append(made)
            total += hits
        return shielded, total

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text, without those that the tokenizer adds by itself. DataError if a mark is lost."""
        if MARK not in text and _ESCAPED not in text:
            return self.encode_all([text])[0]
        copy = self._copy_of_backend()
        renamed = self._special.sub(lambda match: self._names[match[0]], text)
        renamed = renamed.replace(MARK, "").replace(_ESCAPED, "")
        ids = copy.encode_batch_fast([renamed], add_special_tokens=False)[0].ids
        if not self._forgeable.isdisjoint(ids):
            raise DataError("The tokenizer encodes plain text as a special token, so content could forge a turn.")
        return [self._originals.get(number, number) for number in ids]

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """Token ids of several texts without marks."""
        return [encoded.ids for encoded in uncut(self._backend).encode_batch_fast(texts, add_special_tokens=False)]

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer adds before and after a text, such as BOS."""
        bare = uncut(self._backend).encode("a", add_special_tokens=False).ids
        framed = self._backend.encode("a", add_special_tokens=True).ids
        begin = next(place for place in range(len(framed)) if framed[place : place + len(bare)] == bare)
        return framed[:begin], framed[begin + len(bare) :]

    def decode(self, ids: list[int]) -> str:
        """The text of ids, with special tokens."""
        text: str = self._backend.decode(ids, skip_special_tokens=False)
        return text

    def _copy_of_backend(self) -> Tokenizer:
        if self._copy is None:
            copy = Tokenizer.from_str(uncut(self._backend).to_str())
            copy.encode_special_tokens = True
            secret = secrets.token_hex(8)
            self._names = {content: f"\ue000{secret}{number}\ue001" for content, number in self.special.items()}
            copy.add_tokens([self._renamed(content) for content in self.special])
            self._originals = {copy.token_to_id(self._names[content]): own for content, own in self.special.items()}
            self._copy = copy
        return self._copy

    def _renamed(self, content: str) -> AddedToken:
        token = self._added[self.special[content]]
        return AddedToken(
            self._names[content],
            single_word=token.single_word,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            normalized=False,
            special=False,
        )


def _any_of(texts: Any) -> re.Pattern[str]:
    longest_first = sorted(filter(None, texts), key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
