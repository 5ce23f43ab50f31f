"""What the report shows of a classifier: what it confuses, where it is most wrong, and what it promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.api import Calibration, Example, Head, ReportSection, class_probabilities

MOST_WRONG, MOST_LABELS, SHOWN = 8, 20, 160
"""Examples and classes that are shown, and characters of a text."""
ERRORS = (0.1, 0.05)
"""The promised errors whose coverage is measured."""

Outputs = NDArray[np.floating]


def sections_of(
    test: Sequence[Example],
    outputs: Outputs,
    targets: NDArray[np.float64],
    head: Head,
    calibration: Calibration | None,
) -> Iterator[ReportSection]:
    """The sections of a run, from the outputs [examples, labels] on its test split and what is true there."""
    temperature = 1.0 if calibration is None else calibration.temperature
    shares = class_probabilities(np.asarray(outputs, np.float64) / temperature, head.problem)
    if head.problem == "single_label_classification":
        numbers = targets.astype(int)
        yield confusion(shares, numbers, head.labels)
        yield most_wrong(test, shares, numbers, head.labels)
        if calibration is not None:
            yield coverage(shares, numbers, head.labels, calibration)
    elif head.problem == "regression" and calibration is not None:
        yield interval_coverage(shares[:, 0], targets, calibration)


def confusion(shares: Outputs, numbers: NDArray[np.int_], labels: Sequence[str]) -> ReportSection:
    """How often each class was taken for each; of many classes, those pairs that are confused most."""
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (numbers, shares.argmax(1)), 1)
    title = "What is taken for what"
    if len(labels) <= MOST_LABELS:
        rows = [[label, *map(str, row.tolist())] for label, row in zip(labels, counts, strict=True)]
        words = [f"The confusion matrix of {len(numbers):,} test examples: a row for each true label."]
        return ReportSection(title=title, paragraphs=words, columns=["true", *labels], rows=rows)
    off = counts * (1 - np.eye(len(labels), dtype=int))
    pairs = [divmod(int(place), len(labels)) for place in off.ravel().argsort()[::-1][:MOST_LABELS]]
    rows = [[labels[true], labels[said], str(off[true, said])] for true, said in pairs if off[true, said]]
    words = [f"The most frequent confusions of {len(numbers):,} test examples, of {len(labels)} labels."]
    return ReportSection(title=title, paragraphs=words, columns=["true", "answer", "examples"], rows=rows)


def most_wrong(
    test: Sequence[Example], shares: Outputs, numbers: NDArray[np.int_], labels: Sequence[str]
) -> ReportSection:
    """The test examples whose true label has the least probability, among those that are wrong."""
    true = shares[np.arange(len(numbers)), numbers]
    wrong = [int(place) for place in true.argsort() if shares[place].argmax() != numbers[place]][:MOST_WRONG]
    rows = [
        [
            _cut(str(test[place]["text"])),
            labels[numbers[place]],
            f"{labels[shares[place].argmax()]} ({shares[place].max():.0%})",
            str(test[place].get("where", "")),
        ]
        for place in wrong
    ]
    words = [] if rows else ["No test example is classified wrongly."]
    columns = ["text", "true", "answer", "where"] if rows else []
    return ReportSection(title="Where it is most wrong", paragraphs=words, columns=columns, rows=rows)


def coverage(
    shares: Outputs, numbers: NDArray[np.int_], labels: Sequence[str], calibration: Calibration
) -> ReportSection:
    """The share of test examples whose set of labels holds the true one, in all and by class, and what is promised."""
    columns, rows = ["examples", *(f"promised {1 - error:.0%}" for error in ERRORS)], []
    sets = [_sets(shares, calibration.threshold(error)) for error in ERRORS]
    held = [chosen[np.arange(len(numbers)), numbers] for chosen in sets]
    rows.append([f"all ({len(numbers):,})", *(f"{one.mean():.1%}" for one in held)])
    for number, label in enumerate(labels[:MOST_LABELS]):
        own = numbers == number
        if own.any():
            rows.append([f"{label} ({own.sum():,})", *(f"{one[own].mean():.1%}" for one in held)])
    rows.append(["answers with one label", *(f"{(chosen.sum(1) == 1).mean():.1%}" for chosen in sets)])
    words = [
        f"`classify(texts, error=…)` answers with the labels that cannot be excluded, by {len(calibration.scores):,} "
        f"validation examples (temperature {calibration.temperature:.2f}). The promise is for all texts together; that "
        "of single classes is measured here, not promised."
    ]
    return ReportSection(title="Answers with a guarantee", paragraphs=words, columns=columns, rows=rows)


def interval_coverage(values: Outputs, targets: NDArray[np.float64], calibration: Calibration) -> ReportSection:
    """The share of test examples whose value lies in its interval, beside what is promised."""
    rows = []
    for error in ERRORS:
        width = calibration.threshold(error)
        held = (np.abs(values - targets) <= width).mean()
        rows.append([f"{1 - error:.0%}", f"{held:.1%}", f"± {width:.4g}"])
    words = [f"`classify(texts, error=…)` gives an interval, by {len(calibration.scores):,} validation examples."]
    return ReportSection(
        title="Answers with a guarantee", paragraphs=words, columns=["promised", "measured", "interval"], rows=rows
    )


def _sets(shares: Outputs, threshold: float) -> NDArray[np.bool_]:
    """Which labels cannot be excluded, [examples, labels]; the most probable one never is."""
    chosen = 1 - shares <= threshold
    chosen[np.arange(len(shares)), shares.argmax(1)] = True
    return np.asarray(chosen)


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} …"
