"""Chunking: documents split into passages of a bounded number of tokens, at structural boundaries where possible."""

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
    """A chunk of a document: the document's name, the headings above the chunk, and its text.

    `also` are the names of other documents with the same text below the same headings.
    """

    document: str
    heading: str
    text: str
    also: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[str, ...]:
        """The names of all documents that hold the passage."""
        return (self.document, *self.also)

    @property
    def indexed_text(self) -> str:
        """The text that is indexed and shown, with the headings in front, since a chunk may not repeat its subject."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


class Chunker:
    """Splits documents into passages of at most `tokens` tokens, at headings, paragraphs, sentences or words in turn.

    Adjacent passages share up to `overlap` tokens.
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
        for offset, text in splitter.chunk_indices(document.text):
            above = _headings_above(headings, offset)
            yield Passage(document.name, " › ".join(filter(None, [document.title, *above])), text)


def _headings(text: str) -> list[tuple[int, int, str]]:
    """The (offset, depth, title) of each heading of a Markdown text, without the lines of code blocks."""
    code = [match.span() for match in _FENCED.finditer(text)]
    return [
        (match.start(), len(match[1]), match[2])
        for match in _HEADING.finditer(text)
        if not any(start <= match.start() < end for start, end in code)
    ]


def _headings_above(headings: list[tuple[int, int, str]], offset: int) -> list[str]:
    """The titles of the headings that enclose an offset, the outermost first; not one that begins there."""
    enclosing: list[tuple[int, int, str]] = []
    for start, depth, title in headings:
        if start > offset:
            break
        enclosing = [*(heading for heading in enclosing if heading[1] < depth), (start, depth, title)]
    return [title for start, _, title in enclosing if start < offset]
