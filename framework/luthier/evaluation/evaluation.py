"""The answer to the last question of a recipe: how do we know that it is better?"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.examples import Example, Source
from luthier.contracts.predictor import Predictor
from luthier.contracts.sampling import Sampling
from luthier.errors import DataError, NumericsError
from luthier.evaluation import general_text
from luthier.evaluation.bootstrap import Floats, Reduction, exponential_ratio, ratio
from luthier.evaluation.measurement import Bootstrap, Measurement
from luthier.evaluation.questions import Question, questions
from luthier.evaluation.scores import Generated, Scores
from luthier.evaluation.tasks.task import Attempts, Task
from luthier.training.method import Method


class Evaluation:
    """Measure held-out loss, a task and the loss on general text, each with a bootstrap interval over examples.

    From each set `examples` are taken, chosen by `seed` alone (0: all of them), so that every model meets the same.
    `general_examples` texts, cut to `general_length` tokens, show forgetting (0: not measured). `samples` answers
    of at most `sample_tokens` tokens are written for the report. Intervals hold `confidence` of `resamples` draws.
    """

    def __init__(
        self,
        *,
        task: Task,
        general: Source,
        examples: int = 256,
        general_examples: int = 64,
        general_length: int = 512,
        samples: int = 4,
        sample_tokens: int = 96,
        resamples: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.task, self.general, self.examples = task, general, examples
        self.general_examples, self.general_length = general_examples, general_length
        self.samples, self.sample_tokens = samples, sample_tokens
        self.bootstrap, self.seed = Bootstrap(resamples, confidence, seed), seed

    def reductions(self, method: Method | type[Method] | None = None) -> dict[str, Reduction]:
        """How the statistics of each score become its value; `method` adds what it measures itself."""
        found = {"loss": ratio, **{name: metric.reduce for name, metric in self.task.metrics.items()}}
        if method is None or method.likelihood:
            found["perplexity"] = exponential_ratio
        if method is None or method.is_generative:
            found |= {"general_loss": ratio, "general_perplexity": exponential_ratio}
        return found | {name: measure.reduce for name, measure in (method.measures if method else {}).items()}

    def __call__(self, subject: Predictor, examples_by_name: Mapping[str, Sequence[Example]]) -> Scores:
        """Measure a model. Nothing about it is changed but for its network's training mode, which is put back.

        Raises DataError for a set without examples, and NumericsError where a loss is not finite.
        """
        started = time.monotonic()
        scores = Scores(self.bootstrap)
        training = subject.network.training
        subject.network.eval()
        try:
            for place, (name, examples) in enumerate(examples_by_name.items()):
                self._measure_set(subject, name, examples, scores, first=place == 0)
            if self.general_examples and _speaks(subject):
                self._measure_general(subject, scores)
        finally:
            subject.network.train(training)
        scores.seconds = time.monotonic() - started
        return scores

    def _measure_set(
        self, subject: Predictor, name: str, examples: Sequence[Example], scores: Scores, *, first: bool
    ) -> None:
        if not examples:
            raise DataError(
                f"The set {name!r} has no examples to evaluate on.", hint="Give it a larger share of the data."
            )
        before = "" if first else f"{name}/"
        chosen = self.choose(examples)
        scores.counts[f"{name}: examples evaluated"] = len(chosen)
        scores.counts[f"{name}: examples left out"] = len(examples) - len(chosen)
        asked = questions(chosen, subject.prompt)
        attempts = self._attempt(subject, name, examples, chosen, asked, scores)
        for metric_name, metric in self.task.metrics.items():
            statistics, digest = metric.statistics(attempts.made), digest_of(chosen)
            scores.measurements[before + metric_name] = Measurement(statistics, metric.reduce, metric.better, digest)
        self._measure_by_method(subject, chosen, before, scores)
        if first:
            scores.samples = self._samples(subject, asked, attempts)

    def _measure_by_method(self, subject: Predictor, chosen: Sequence[Example], before: str, scores: Scores) -> None:
        method, where = subject.method, [str(example.get("where", "")) for example in chosen]
        found = {name: _finite(statistics, where) for name, statistics in subject.measured(chosen).items()}
        losses, digest = found.pop("loss"), digest_of(chosen)
        of_tokens = digest_of_tokens(digest, losses)
        scores.measurements[f"{before}loss"] = Measurement(losses, ratio, "lower", of_tokens)
        if method is None or method.likelihood:
            scores.measurements[f"{before}perplexity"] = Measurement(losses, exponential_ratio, "lower", of_tokens)
        for name, statistics in found.items():
            assert method is not None, "what it measured it says how to read"
            measure = method.measures[name]
            scores.measurements[before + name] = Measurement(statistics, measure.reduce, measure.better, digest)

    def _attempt(
        self,
        subject: Predictor,
        name: str,
        examples: Sequence[Example],
        chosen: Sequence[Example],
        asked: list[Question],
        scores: Scores,
    ) -> Attempts:
        if not self.task.metrics:
            return Attempts()
        if not asked:
            raise DataError(
                f"No example of the set {name!r} ends with an assistant's text, so there is nothing to compare with.",
                hint="Use evaluation/task=none.",
            )
        for metric in self.task.metrics.values():  # what it cannot measure is said before answers are waited for
            metric.statistics([asked[0].attempt(asked[0].reference)])
        attempts = self.task(subject, asked, questions(examples, subject.prompt))
        scores.counts[f"{name}: examples without an answer"] = len(chosen) - len(asked)
        scores.counts.update({f"{name}: {what}": count for what, count in attempts.counts.items()})
        return attempts

    def _measure_general(self, subject: Predictor, scores: Scores) -> None:
        written = general_text.texts(self.general, self.general_examples)
        losses, cut = general_text.text_losses(subject, written, self.general_length)
        losses = _finite(losses, [f"general text {number}" for number in range(1, len(written) + 1)])
        digest = digest_of_tokens(digest_of([{"text": text} for text in written]), losses)
        scores.measurements["general_loss"] = Measurement(losses, ratio, "lower", digest)
        scores.measurements["general_perplexity"] = Measurement(losses, exponential_ratio, "lower", digest)
        scores.counts |= {"general: texts evaluated": len(written), "general: texts cut": cut}

    def choose(self, examples: Sequence[Example]) -> list[Example]:
        """Those of a set that are measured on."""
        if not self.examples or len(examples) <= self.examples:
            return list(examples)
        drawn = np.random.default_rng(self.seed).choice(len(examples), self.examples, replace=False)
        return [examples[index] for index in sorted(drawn)]

    def _samples(self, subject: Predictor, asked: Sequence[Question], attempts: Attempts) -> list[Generated]:
        shown = asked[: self.samples] if _speaks(subject) else []
        if self.task.writes:
            outputs = [attempt.output for attempt in attempts.made[: self.samples]]
        elif shown:
            greedy = Sampling(max_new_tokens=self.sample_tokens, temperature=0.0)
            answers = subject.answers([turn.conversation for turn in shown], greedy)
            outputs = [answer.text + (" …" if answer.finish == "length" else "") for answer in answers]
        else:
            outputs = []
        return [
            Generated([dict(message) for message in turn.conversation], output, turn.reference)
            for turn, output in zip(shown, outputs, strict=True)
        ]


def _speaks(subject: Predictor) -> bool:
    return subject.method is None or subject.method.is_generative


def _finite(measured: NDArray[np.floating[Any]], where: Sequence[str]) -> Floats:
    """The losses as float64; NumericsError names the first example whose loss is NaN or infinite."""
    losses = np.asarray(measured, dtype=np.float64)
    if (bad := np.flatnonzero(~np.isfinite(losses).all(1))).size:
        raise NumericsError(
            f"What was measured of {bad.size} of {len(losses)} evaluated examples is not finite.", where=where[bad[0]]
        )
    return losses


def digest_of(examples: Sequence[Example]) -> str:
    """A digest of what the examples say, in order; where they come from does not count."""
    said = [{key: value for key, value in example.items() if key not in ("where", "split")} for example in examples]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest_of_tokens(examples: str, losses: Floats) -> str:
    """A digest of the examples and of how many tokens each loss is of: a mean over other tokens is no pair of it."""
    return hashlib.sha256(examples.encode() + losses[:, 1].tobytes()).hexdigest()[:16]
