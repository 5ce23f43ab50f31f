"""Build and query times of an index of many passages, and the recall of the HNSW graph.

    python tests/benchmarks/retrieval.py --passages 100000 --out docs/measured/benchmarks/retrieval_speed.json

The passages are paragraphs of the bank's documents in which random words are replaced, so that no two are equal.
Recall is that of the graph's best ten against those of exact search.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from luthier.inference.embeddings.static import Static
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents import Document
from luthier_retrieval.documents.package import DocumentPackage
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.neighbours.hnsw import Hnsw
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.searches.hybrid import HybridSearch
from luthier_retrieval.store import IndexStore

BANK = DocumentPackage(
    requirement="inspect-evals==0.26.0",
    member="inspect_evals/tau2/data/domains/banking_knowledge/documents.json.gz",
    columns={"text": "content"},
)


def paragraphs() -> list[str]:
    found = [part.strip() for document in BANK for part in document.text.split("\n\n")]
    return [part for part in found if len(part.split()) > 12]


def documents(passages: int, start: int = 0) -> Iterator[Document]:
    """Documents of one passage: a paragraph of the bank in which each fifth word comes from another one."""
    known = paragraphs()
    words = " ".join(known).split()
    for number in range(start, start + passages):
        draw = random.Random(number)
        replaced = [draw.choice(words) if draw.random() < 0.2 else word for word in draw.choice(known).split()]
        yield Document(f"d{number}", " ".join(replaced))


def one_passage(document: Document) -> Iterator[Passage]:
    yield Passage(document.name, "", document.text)


def measured(passages: int, questions: int) -> dict[str, float]:
    asked = [document.text[:200] for document in documents(questions, start=10_000_000)]
    with tempfile.TemporaryDirectory() as folder:
        store = IndexStore(Path(folder), 20_000)
        words, graph = Bm25Search(), DenseSearch(embedding=Static(), neighbours=Hnsw())
        both = HybridSearch(searches={"words": words, "meaning": graph})
        found = {
            "passages": float(passages),
            "build_seconds": _seconds(lambda: store.update(documents(passages), one_passage, both)),
        }
        found["bytes_per_passage"] = (
            sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / passages
        )
        found["open_seconds"] = _seconds(lambda: both.open(store.segments()))
        exact = DenseSearch(embedding=graph.embedding, neighbours=Exact())
        exact.open(store.segments())
        near = {name: [search(one, 10)[0] for one in asked] for name, search in (("exact", exact), ("graph", graph))}
        shared = [len(set(a) & set(b)) / 10 for a, b in zip(near["exact"], near["graph"], strict=True)]
        found["recall_at_10_of_the_graph"] = float(np.mean(shared))
        for name, search in (("bm25", words), ("exact", exact), ("graph", graph), ("hybrid", both)):
            took = [_seconds(lambda one=one, search=search: search(one, 50)) for one in asked]
            found[f"{name}_milliseconds"] = 1000 * float(np.median(took))
        grown = lambda: (*documents(passages), *documents(100, start=20_000_000))  # noqa: E731
        reading = _seconds(lambda: [one.digest for one in grown()])
        found["read_seconds"] = reading
        found["add_100_seconds"] = _seconds(lambda: store.update(grown(), one_passage, both))
        found["segments"] = float(len(store.segments()))
    found["peak_gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return found


def _seconds(action: Callable[[], object]) -> float:
    at = time.perf_counter()
    action()
    return time.perf_counter() - at


ROWS = {
    "build_seconds": "the index of {passages:,.0f} passages is built in | {:.0f} s",
    "bytes_per_passage": "a passage takes | {:,.0f} bytes",
    "open_seconds": "the index is opened in | {:.2f} s",
    "bm25_milliseconds": "the best 50 by `bm25` | {:.1f} ms",
    "exact_milliseconds": "by `dense`, `exact` | {:.1f} ms",
    "graph_milliseconds": "by `dense`, `hnsw` | {:.1f} ms",
    "hybrid_milliseconds": "by `hybrid` of `bm25` and `hnsw` | {:.1f} ms",
    "recall_at_10_of_the_graph": "of the ten nearest `hnsw` finds | {:.1%}",
    "read_seconds": "all documents are read and hashed in | {:.1f} s",
    "add_100_seconds": "100 more are read, hashed and added in | {:.1f} s",
    "peak_gigabytes": "the most memory | {:.1f} GB",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = measured(given.passages, given.questions)
    lines = ["| what | measured |", "|---|---|"]
    lines += [f"| {words.format(found[name], **found)} |" for name, words in ROWS.items()]
    report = {"results": found, "table": "\n".join(lines)}
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
