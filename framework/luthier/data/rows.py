"""Parallel encoding of examples to rows."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from luthier.contracts.examples import Example
from luthier.data.chunks import Chunk
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.tokenized_messages import TokenizedMessages
from luthier.data.turn_examples import Encode, EncodedTurn, encoded_turns
from luthier.errors import DataError, LuthierError, PluginError

__all__ = ["Encode", "EncodedChunk", "encoded"]

_CHUNK = 64  # examples


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """Rows, the number of the example of each, int64 [rows], and the turn that each was encoded from."""

    rows: Chunk
    numbers: NDArray[np.int64]
    turns: list[EncodedTurn]

    @property
    def after(self) -> NDArray[np.int64]:
        """The number of messages after the turn of each row, `WHOLE` for whole conversations, int64 [rows]."""
        return np.array([turn.after for turn in self.turns], np.int64)


def encoded(examples: Sequence[Example], encode: Encode, tokenizer: Any, *, split: str) -> Iterator[EncodedChunk]:
    """The rows of the examples in order, in chunks; several of a conversation whose turns are apart (`encoded_turns`).

    Threads encode a few chunks ahead, as the tokenizer releases the GIL. DataError names the example that cannot be
    encoded, PluginError one whose row is invalid (`Chunk.is_valid`).
    """
    threads = min(8, os.cpu_count() or 1)
    begins = iter(range(0, len(examples), _CHUNK))
    console = Console(stderr=True)
    encoder = _ChunkEncoder(encode, tokenizer)
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task(f"encoding {split}", total=len(examples))

        def started(begin: int) -> Future[EncodedChunk]:
            return pool.submit(encoder.chunk, examples[begin : begin + _CHUNK], begin)

        waiting = deque(started(begin) for begin in islice(begins, 2 * threads))
        try:
            while waiting:
                chunk = waiting.popleft().result()
                waiting.extend(started(begin) for begin in islice(begins, 1))
                yield chunk
                progress.advance(bar, _CHUNK)
        finally:
            for future in waiting:
                future.cancel()


class _ChunkEncoder:
    """Encodes chunks of examples; tokenizes their conversations in one batch, as long as `encode` uses the results."""

    def __init__(self, encode: Encode, tokenizer: Any) -> None:
        self.encode, self.tokenizer, self.batched = encode, tokenizer, True
        self.name = getattr(encode, "__qualname__", type(encode).__qualname__)

    def chunk(self, examples: Sequence[Example], begin: int) -> EncodedChunk:
        if self.batched:
            examples = Codec.of(self.tokenizer).tokenize_ahead(examples)
        turns = [(begin + at, turn) for at, example in enumerate(examples) for turn in self._turns(example)]
        chunk = Chunk([turn.row for _, turn in turns])
        if self.batched:
            chats = [example.get("messages") for example in examples]
            self.batched = any(isinstance(messages, TokenizedMessages) and messages.used for messages in chats)
        if not chunk.is_valid:
            invalid = next(turn.example for _, turn in turns if not Chunk([turn.row]).is_valid)
            raise PluginError(
                f"{self.name} gave a sequence that is empty, whose ids and weights differ in length, whose first "
                "token has a weight, or with a weight that is not finite.",
                where=str(invalid.get("where", "")),
            )
        return EncodedChunk(chunk, np.array([number for number, _ in turns], np.int64), [turn for _, turn in turns])

    def _turns(self, example: Example) -> list[EncodedTurn]:
        where = str(example.get("where", ""))
        try:
            return encoded_turns(example, self.encode, self.tokenizer)
        except LuthierError as error:
            error.where = error.where or where
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{self.name} cannot encode this example: {type(error).__name__}: {error}.",
                where=where,
                hint=f"It has {', '.join(key for key in example if key != 'where')}; does the method fit the data?",
            ) from error
