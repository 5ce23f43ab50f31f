"""Write seqeval_reference.json, the figures of seqeval 1.2.2 on drawn tags: python make_seqeval_reference.py

seqeval is not installed with luthier: pip install seqeval==1.2.2 scikit-learn, in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from seqeval.metrics import classification_report


def case(name: str, tags: list[str], seed: int, texts: int = 12) -> dict[str, Any]:
    """Random true tags, and found ones that differ from them in every third word."""
    random = np.random.default_rng(seed)
    true = [[str(tag) for tag in random.choice(tags, size=random.integers(1, 12))] for _ in range(texts)]
    found = [[str(random.choice(tags)) if random.random() < 0.3 else tag for tag in text] for text in true]
    report = classification_report(true, found, output_dict=True, zero_division=0)
    labels = {name: float(own["f1-score"]) for name, own in report.items() if " avg" not in name}
    return {
        "name": name,
        "true": true,
        "found": found,
        "micro_f1": float(report["micro avg"]["f1-score"]),
        "macro_f1": float(report["macro avg"]["f1-score"]),
        "f1_by_label": labels,
    }


if __name__ == "__main__":
    CASES = [
        case("BIO", ["O", "O", "B-X", "I-X", "B-Y", "I-Y"], 0),
        case("two of three labels", ["O", "B-X", "I-X", "B-Y", "B-Z", "I-Z"], 1),
        case("few entities", [*["O"] * 12, "B-X", "I-X"], 2),
    ]
    Path(__file__).with_name("seqeval_reference.json").write_text(json.dumps(CASES, indent=1) + "\n")
