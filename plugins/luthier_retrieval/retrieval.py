"""Look up in documents, and show what was found with the question."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.api import (
    DataError,
    Example,
    Needs,
    Prompt,
    RecipeError,
    cache_folder,
    content_hash,
    encode_prompt,
    hash_of_tokenizer,
    last_question,
    message_text,
    prompt_of,
    with_system,
)
from luthier_retrieval.chunking import Chunks, Passage
from luthier_retrieval.documents import Documents
from luthier_retrieval.layouts import Layout
from luthier_retrieval.passage_search import Finding
from luthier_retrieval.reranking import Reranking
from luthier_retrieval.searches import Search
from luthier_retrieval.store import Store
from luthier_retrieval.teaching import Teaching

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("luthier")
FOLDER = "retrieval"


class Retrieval(Prompt):
    """Show up to `passages` passages of documents before each question (Lewis et al., 2020).

    Documents are cut into passages of at most `chunk` tokens of the model, neighbours sharing up to `overlap`, and
    indexed in the cache; the index grows by what is new, written `at_once` passages at a time. The `search` gives
    `candidates` of them for what the user said in the last `turns` turns, `reranking` orders these, and the first that
    fit into `tokens` tokens are shown, as the `layout` lays them out behind the `system` prompt. `absent` is the answer
    to what the documents do not say. A run's artifact holds the index.

    What it makes of an example holds `passages`, those that are shown, and `found`, the names of all documents found,
    the best one first.
    """

    needs: ClassVar[Needs] = {"semantic_text_splitter": "luthier[retrieval]"}

    def __init__(
        self,
        *,
        documents: Documents,
        search: Search,
        reranking: Reranking,
        layout: Layout,
        teaching: Teaching,
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
            raise RecipeError("There are no words for what the documents do not say.", where="prompt.absent")
        self.documents, self.search, self.reranking = documents, search, reranking
        self.layout, self.teaching = layout, teaching
        self.passages, self.tokens, self.candidates = passages, tokens, max(candidates, passages)
        self.chunk, self.overlap, self.turns, self.at_once = chunk, overlap, turns, at_once
        self.absent, self.system = absent, system
        self.finding: Finding | None = None
        self.notes: list[str] = []
        self._short: set[str] = set()

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Bring the index up to date with the documents; one that came with an artifact stays as it is."""
        if self.finding is not None:
            return
        counted = [hash_of_tokenizer(tokenizer), self.chunk, self.overlap]
        name = content_hash([self.documents.place, counted, self.search.identity()])[:32]
        store = Store(cache_folder("retrieval") / name, self.at_once)
        built = store.update(self.documents, Chunks(tokenizer, self.chunk, self.overlap), self.search)
        if not built.passages:
            raise DataError("The documents hold no text.", where="prompt.documents")
        log.info(
            "The index holds %d documents in %d passages; %d documents are new, %d gone.",
            built.documents, built.passages, built.new, built.gone,
        )  # fmt: skip
        self.notes = self.documents.warnings
        if built.empty:
            self.notes.append(f"{len(built.empty)} documents hold no text ({', '.join(built.empty[:3])}).")
        self._open(store, tokenizer)

    def _open(self, store: Store, tokenizer: PreTrainedTokenizerBase) -> None:
        self.finding = Finding(store.segments(), self.search, self.reranking, self.candidates)
        self._store, self._tokenizer = store, tokenizer

    def __call__(self, example: Example) -> Example:
        if self.finding is None:
            raise RecipeError("prompt=retrieval has seen no documents.", hint="Run its recipe again.")
        if not example.get("messages"):
            raise DataError(
                "Documents are looked up for a question, and the example has no `messages`.",
                where=str(example.get("where", "")),
                hint="Use prompt=chat with plain text.",
            )
        place = last_question(example)
        if place is None:
            return {**example, "messages": with_system(self.system, example["messages"]), "passages": [], "found": []}
        found = self.finding(self._asked(example))
        answer = None
        if example.get("split") == "train":
            right = self.finding.of_documents(found, example.get("relevant") or ())
            lesson = self.teaching(example, found, right, self.passages, self.absent)
            chosen, answer = lesson.passages, lesson.answer
        else:
            chosen = list(found)
        shown = self._fitting(example, place, chosen)
        messages = self._laid(example, place, shown)
        if answer is not None and messages[-1]["role"] == "assistant":
            messages[-1] = {**messages[-1], "content": answer}
        return {
            **example,
            "messages": messages,
            "passages": [{"document": one.document, "heading": one.heading, "text": one.text} for one in shown],
            "found": list(dict.fromkeys(one.document for one in found)),
        }

    def _asked(self, example: Example) -> str:
        said = [message_text(turn) for turn in prompt_of(example) if turn["role"] == "user"]
        return "\n".join(said[-self.turns :])

    def _laid(self, example: Example, place: int, shown: Sequence[Passage]) -> list[dict[str, Any]]:
        messages = list(example["messages"])
        laid = self.layout(message_text(messages[place]), shown, self.absent)
        messages[place] = {**messages[place], "content": laid.turn}
        return with_system("\n\n".join(filter(None, [self.system, laid.system])), messages)

    def _fitting(self, example: Example, place: int, found: Sequence[Passage]) -> list[Passage]:
        """The best passages that fit together; one that does not is passed over for the next."""
        bare = self._size(example, place, [])
        shown: list[Passage] = []
        for passage in found:
            if len(shown) == self.passages:
                break
            if self._size(example, place, [*shown, passage]) - bare <= self.tokens:
                shown.append(passage)
        if len(shown) < min(self.passages, len(found)):
            self._short.add(message_text(example["messages"][place]))
        return shown

    def _size(self, example: Example, place: int, shown: Sequence[Passage]) -> int:
        messages = self._laid(example, place, shown)
        after = len(example["messages"]) - place - 1
        return len(encode_prompt({"messages": messages[: len(messages) - after]}, self._tokenizer))

    def save(self, folder: Path) -> None:
        self._store.copy(folder / FOLDER)

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Look up in the index that the run left; its documents need not be there any more."""
        store = Store(folder / FOLDER, self.at_once)
        self.search.open(store.segments())
        self._open(store, tokenizer)

    @property
    def warnings(self) -> list[str]:
        if not self._short:
            return list(self.notes)
        few = (
            f"{len(self._short)} questions were shown fewer than {self.passages} passages, as no more fit into "
            f"prompt.tokens={self.tokens}."
        )
        return [*self.notes, few]
