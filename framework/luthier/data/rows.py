"""Examples become rows, several at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from rich.console import Console
from rich.progress import Progress

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.chunks import Chunk
from luthier.data.encoding.codec import Codec
from luthier.errors import DataError, LuthierError, PluginError

Encode = Callable[[Example, Any], Row]
"""`encode(example, tokenizer)`, as methods have it."""

_TOGETHER = 64  # examples


def encoded(examples: Sequence[Example], encode: Encode, tokenizer: Any, *, split: str) -> Iterator[Chunk]:
    """The rows of the examples, in order.

    Threads work ahead of the reader by a few chunks, as the tokenizer leaves the GIL to others. DataError names the
    example that cannot be encoded, PluginError one whose row no loss could use.
    """
    threads = min(8, os.cpu_count() or 1)
    begins = iter(range(0, len(examples), _TOGETHER))
    console = Console(stderr=True)
    together = _Together(encode, tokenizer)
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task(f"encoding {split}", total=len(examples))

        def started(begin: int) -> Future[Chunk]:
            return pool.submit(together.chunk, examples[begin : begin + _TOGETHER])

        waiting = deque(started(begin) for begin in islice(begins, 2 * threads))
        try:
            while waiting:
                chunk = waiting.popleft().result()
                waiting.extend(started(begin) for begin in islice(begins, 1))
                yield chunk
                progress.advance(bar, len(chunk.rows))
        finally:
            for future in waiting:
                future.cancel()


class _Together:
    """Encodes chunks of examples; tokenises their conversations beforehand for as long as the method asks for them."""

    def __init__(self, encode: Encode, tokenizer: Any) -> None:
        self.encode, self.tokenizer, self.useful = encode, tokenizer, True
        self.name = getattr(encode, "__qualname__", type(encode).__qualname__)

    def chunk(self, examples: Sequence[Example]) -> Chunk:
        done = Codec.of(self.tokenizer).ahead(examples if self.useful else [])
        try:
            found = Chunk([self._row(example) for example in examples])
        finally:
            self.useful = done() > 0
        if not found.sound:
            wrong = next(each for each, row in zip(examples, found.rows, strict=True) if not Chunk([row]).sound)
            raise PluginError(
                f"{self.name} gave a sequence that is empty, whose ids and weights differ in length, whose first "
                "token has a weight, or with a weight that is not finite.",
                where=str(wrong.get("where", "")),
            )
        return found

    def _row(self, example: Example) -> Row:
        where = str(example.get("where", ""))
        try:
            return self.encode(example, self.tokenizer)
        except LuthierError as error:
            error.where = error.where or where
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{self.name} cannot encode this example: {type(error).__name__}: {error}.",
                where=where,
                hint=f"It has {', '.join(key for key in example if key != 'where')}; does the method fit the data?",
            ) from error
