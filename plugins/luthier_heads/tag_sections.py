"""What the report shows of a tagger: what it finds of each kind of entity, and where it is most wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.api import Example, ReportSection, Span, example_words, rules_of, spans_of
from luthier_heads.span_scores import EXACT, FOUND, PARTIAL, TRUE, f1, span_counts

MOST_LABELS, MOST_WRONG, AROUND = 30, 3, 40
"""Kinds of entities and mistakes of each that are shown, and characters around a mistake."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A span that is missed or wrongly found, with the probability that the tagger gives what is not true."""

    span: Span
    kind: str
    instead: str
    doubt: float
    example: Example


def sections_of(
    test: Sequence[Example],
    scores: Sequence[NDArray[np.floating]],
    true: Sequence[Sequence[Span]],
    labels: Sequence[str],
    tags: tuple[str, ...],
) -> Iterator[ReportSection]:
    """The sections of a run, from log p(tag) of each word of its test split [words, tags] and what is true there."""
    rules, counts, mistakes = rules_of(tags), np.zeros((len(labels), 4)), list[Mistake]()
    for example, given, spans in zip(test, scores, true, strict=True):
        own = np.asarray(given, np.float64)
        found, _ = spans_of(rules.best(own))
        counts += span_counts(spans, found, labels)
        missed = [span for span in spans if span not in found]
        wrong = [span for span in found if span not in spans]
        shares = rules.span_probabilities(own, [*missed, *wrong])
        for span, share in zip([*missed, *wrong], shares, strict=True):
            others = found if span in missed else spans
            near = next((one for one in others if one.start < span.end and span.start < one.end), None)
            kind = "missed" if span in missed else "found"
            doubt = 1 - share if kind == "missed" else share
            mistakes.append(Mistake(span, kind, _named(example, near), doubt, example))
    yield by_label(counts, labels)
    yield most_wrong(mistakes, labels)


def by_label(counts: NDArray[np.float64], labels: Sequence[str]) -> ReportSection:
    """Precision, recall and F1 of each kind of entity, and F1 where overlaps count half."""
    rows = [_row(label, own) for label, own in list(zip(labels, counts, strict=True))[:MOST_LABELS]]
    rows.append(_row("all", counts.sum(0)))
    return ReportSection(
        title="Entities by kind",
        paragraphs=["A span is right if its words and its kind are; in the last column one that overlaps counts half."],
        columns=["kind", "true", "found", "precision", "recall", "F1", "partial F1"],
        rows=rows,
    )


def _row(label: str, own: NDArray[np.float64]) -> list[str]:
    right, found, true = own[EXACT], own[FOUND], own[TRUE]
    shares = [right / found if found else np.nan, right / true if true else np.nan]
    shares += [float(f1(np.array(own[column]), np.array(found), np.array(true))) for column in (EXACT, PARTIAL)]
    return [label, f"{true:.0f}", f"{found:.0f}", *("–" if np.isnan(share) else f"{share:.3f}" for share in shares)]


def most_wrong(mistakes: Sequence[Mistake], labels: Sequence[str]) -> ReportSection:
    """For each kind the spans that are wrong and of which the tagger is most sure."""
    rows = []
    for label in labels[:MOST_LABELS]:
        own = sorted((one for one in mistakes if one.span.label == label), key=lambda one: -one.doubt)
        rows += [
            [label, one.kind, _shown(one), one.instead, f"{one.doubt:.0%}", str(one.example.get("where", ""))]
            for one in own[:MOST_WRONG]
        ]
    words = (
        [
            "`missed` is true and was not found, `found` was found and is not true; sure is the tagger's probability "
            "for its mistake."
        ]
        if rows
        else ["No entity of the test split is missed, and none is found that is not there."]
    )
    columns = ["kind", "mistake", "text", "instead", "sure", "where"] if rows else []
    return ReportSection(title="Where it is most wrong", paragraphs=words, columns=columns, rows=rows)


def _shown(mistake: Mistake) -> str:
    text, words = str(mistake.example["text"]), example_words(mistake.example)
    start, end = words[mistake.span.start][0], words[mistake.span.end - 1][1]
    before, after = text[max(start - AROUND, 0) : start], text[end : end + AROUND]
    return " ".join(f"{before}[{text[start:end]}]{after}".split())


def _named(example: Example, span: Span | None) -> str:
    if span is None:
        return "nothing"
    words = example_words(example)
    inner = str(example["text"])[words[span.start][0] : words[span.end - 1][1]]
    return f"{' '.join(inner.split())} ({span.label})"
