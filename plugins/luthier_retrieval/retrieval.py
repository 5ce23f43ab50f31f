"""Retrieval-augmented generation as a prompt: retrieved passages before the question."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.api import (
    DataError,
    Example,
    Needs,
    Prompt,
    RecipeError,
    Search,
    cache_folder,
    content_hash,
    encode_prompt,
    hash_of_tokenizer,
    last_question,
    message_text,
    prompt_of,
    with_system,
)
from luthier_retrieval.chunking import Chunker, Passage
from luthier_retrieval.documents import Documents
from luthier_retrieval.layouts import Layout
from luthier_retrieval.passage_search import PassageSearch
from luthier_retrieval.relevant import relevant_names
from luthier_retrieval.reranking import Reranking
from luthier_retrieval.store import IndexStore
from luthier_retrieval.teaching import TrainingPassages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("luthier")
FOLDER = "retrieval"


@dataclass(frozen=True, slots=True)
class _OpenIndex:
    """An index that is open for searching, and the tokenizer that counts the tokens of its passages."""

    store: IndexStore
    search: PassageSearch
    tokenizer: PreTrainedTokenizerBase


class Retrieval(Prompt):
    """Show up to `passages` passages of documents before each question (Lewis et al., 2020).

    Documents are split into passages of at most `chunk` tokens of the model, adjacent ones sharing up to `overlap`, and
    indexed in the cache; the index grows incrementally, `at_once` passages at a time. The `search` retrieves
    `candidates` passages for the user's last `turns` turns, `reranking` orders them, and the first that fit into
    `tokens` tokens are shown, formatted by the `layout` behind the `system` prompt. `absent` is the answer to a
    question that the documents do not answer. A run's artifact holds the index.

    A passage that several documents hold is shown once and cited by all of them. The prompted example has `passages`,
    those that are shown, and `found`, the names of all retrieved documents, the
    best first.
    """

    needs: ClassVar[Needs] = {"semantic_text_splitter": "luthier[retrieval]"}

    def __init__(
        self,
        *,
        documents: Documents,
        search: Search,
        reranking: Reranking,
        layout: Layout,
        teaching: TrainingPassages,
        passages: int = 4,
        tokens: int = 1024,
        candidates: int = 50,
        chunk: int = 192,
        overlap: int = 0,
        turns: int = 1,
        absent: str = "This is not in the documents.",
        system: str = "",
        at_once: int = 20_000,
    ) -> None:
        numbers = {"passages": passages, "tokens": tokens, "candidates": candidates, "chunk": chunk, "turns": turns}
        for name, value in (numbers | {"at_once": at_once}).items():
            if value < 1:
                raise RecipeError(f"prompt.{name} is {value}.", where=f"prompt.{name}", hint="Use 1 or more.")
        if not 0 <= overlap < chunk:
            raise RecipeError(f"prompt.overlap is {overlap}, and a passage has {chunk} tokens.", where="prompt.overlap")
        if not absent.strip():
            raise RecipeError("The answer to an unanswerable question is empty.", where="prompt.absent")
        self.documents, self.search, self.reranking = documents, search, reranking
        self.layout, self.teaching = layout, teaching
        self.passages, self.tokens, self.candidates = passages, tokens, max(candidates, passages)
        self.chunk, self.overlap, self.turns, self.at_once = chunk, overlap, turns, at_once
        self.absent, self.system = absent, system
        self._index: _OpenIndex | None = None
        self._build_warnings: list[str] = []
        self._truncated: set[str] = set()

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Bring the index up to date with the documents; an index that was loaded from an artifact stays unchanged."""
        if self._index is not None:
            return
        chunking = [hash_of_tokenizer(tokenizer), self.chunk, self.overlap]
        name = content_hash([self.documents.place, chunking, self.search.identity()])[:32]
        store = IndexStore(cache_folder("retrieval") / name, self.at_once)
        update = store.update(self.documents, Chunker(tokenizer, self.chunk, self.overlap), self.search)
        if not update.passages:
            raise DataError("The documents hold no text.", where="prompt.documents")
        log.info(
            "The index holds %d documents in %d passages; %d documents are new, %d were removed.",
            update.documents, update.passages, update.new, update.gone,
        )  # fmt: skip
        self._build_warnings = list(self.documents.warnings)
        if update.empty:
            examples_of_empty = ", ".join(update.empty[:3])
            self._build_warnings.append(f"{len(update.empty)} documents hold no text ({examples_of_empty}).")
        self._open(store, tokenizer)

    def _open(self, store: IndexStore, tokenizer: PreTrainedTokenizerBase) -> None:
        search = PassageSearch(store.segments(), self.search, self.reranking, self.candidates)
        self._index = _OpenIndex(store, search, tokenizer)

    @property
    def _open_index(self) -> _OpenIndex:
        if self._index is None:
            raise RecipeError("prompt=retrieval has no index yet.", hint="Run its recipe again.")
        return self._index

    def __call__(self, example: Example) -> Example:
        search = self._open_index.search
        if not example.get("messages"):
            raise DataError(
                "prompt=retrieval needs a conversation, and the example has no `messages`.",
                where=str(example.get("where", "")),
                hint="Use prompt=chat with plain text.",
            )
        turn = last_question(example)
        if turn is None:
            return {**example, "messages": with_system(self.system, example["messages"]), "passages": [], "found": []}
        retrieved = search(self._query(example))
        answer = None
        if example.get("split") == "train":
            relevant = search.passages_of(relevant_names(example), retrieved)
            context = self.teaching(example, retrieved, relevant, self.passages, self.absent)
            candidates, answer = context.passages, context.answer
        else:
            candidates = list(retrieved)
        shown = self._within_budget(example, turn, candidates)
        messages = self._with_passages(example, turn, shown)
        if answer is not None and messages[-1]["role"] == "assistant":
            messages[-1] = {**messages[-1], "content": answer}
        return {
            **example,
            "messages": messages,
            "passages": [asdict(passage) for passage in shown],
            "found": list(dict.fromkeys(name for passage in retrieved for name in passage.documents)),
        }

    def _query(self, example: Example) -> str:
        """The text of the user's last `turns` turns."""
        texts = [message_text(turn) for turn in prompt_of(example) if turn["role"] == "user"]
        return "\n".join(texts[-self.turns :])

    def _with_passages(self, example: Example, turn: int, shown: Sequence[Passage]) -> list[dict[str, Any]]:
        """The messages with the passages before the question, which is the message number `turn`."""
        messages = list(example["messages"])
        formatted = self.layout(message_text(messages[turn]), shown, self.absent)
        messages[turn] = {**messages[turn], "content": formatted.turn}
        return with_system("\n\n".join(filter(None, [self.system, formatted.system])), messages)

    def _within_budget(self, example: Example, turn: int, candidates: Sequence[Passage]) -> list[Passage]:
        """The best passages that fit into the token budget together; one that does not fit is skipped."""
        without = self._token_count(example, turn, [])
        shown: list[Passage] = []
        for passage in candidates:
            if len(shown) == self.passages:
                break
            if self._token_count(example, turn, [*shown, passage]) - without <= self.tokens:
                shown.append(passage)
        if len(shown) < min(self.passages, len(candidates)):
            self._truncated.add(message_text(example["messages"][turn]))
        return shown

    def _token_count(self, example: Example, turn: int, shown: Sequence[Passage]) -> int:
        """The tokens of the conversation up to the question."""
        messages = self._with_passages(example, turn, shown)
        after = len(example["messages"]) - turn - 1
        return len(encode_prompt({"messages": messages[: len(messages) - after]}, self._open_index.tokenizer))

    def save(self, folder: Path) -> None:
        self._open_index.store.copy(folder / FOLDER)

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Open the index in the artifact; the documents themselves are not needed any more."""
        store = IndexStore(folder / FOLDER, self.at_once)
        self.search.open(store.segments())
        self._open(store, tokenizer)

    @property
    def warnings(self) -> list[str]:
        if not self._truncated:
            return list(self._build_warnings)
        truncated = (
            f"{len(self._truncated)} questions were shown fewer than {self.passages} passages, as no more fit into "
            f"prompt.tokens={self.tokens}."
        )
        return [*self._build_warnings, truncated]
