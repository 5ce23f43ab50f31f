"""Documents cut into passages: where their structure allows, and never longer than asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from luthier_retrieval.documents import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t#]*$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?(^\1|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: whose it is, the headings above it, and what it says."""

    document: str
    heading: str
    text: str

    @property
    def searched(self) -> str:
        """What is searched: the headings say what a text that does not name its subject is about."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


class Chunks:
    """Cuts documents into passages of at most `tokens` tokens, at headings, paragraphs, sentences or words in turn.

    Neighbours share up to `overlap` tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokens: int, overlap: int) -> None:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        counting = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        counting.no_truncation()
        counting.no_padding()
        self._markdown = MarkdownSplitter.from_huggingface_tokenizer(counting, tokens, overlap)
        self._plain = TextSplitter.from_huggingface_tokenizer(counting, tokens, overlap)

    def __call__(self, document: Document) -> Iterator[Passage]:
        splitter = self._markdown if document.markdown else self._plain
        headings = _headings(document.text) if document.markdown else []
        for place, text in splitter.chunk_indices(document.text):
            above = _above(headings, place)
            yield Passage(document.name, " › ".join(filter(None, [document.title, *above])), text)


def _headings(text: str) -> list[tuple[int, int, str]]:
    """Where each heading of a Markdown text stands, how deep it is, and what it says; none of those in code."""
    code = [match.span() for match in _FENCED.finditer(text)]
    return [
        (match.start(), len(match[1]), match[2])
        for match in _HEADING.finditer(text)
        if not any(start <= match.start() < end for start, end in code)
    ]


def _above(headings: list[tuple[int, int, str]], place: int) -> list[str]:
    """The headings under which a place stands, the outermost first; not one that begins there."""
    found: list[tuple[int, int, str]] = []
    for start, depth, words in headings:
        if start > place:
            break
        found = [*(one for one in found if one[1] < depth), (start, depth, words)]
    return [words for start, _, words in found if start < place]
