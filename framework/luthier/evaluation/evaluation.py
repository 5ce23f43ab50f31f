"""The evaluation of a model: held-out loss, task metrics and forgetting."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.examples import Example, Source
from luthier.contracts.predictor import Predictor
from luthier.contracts.sampling import Sampling
from luthier.contracts.scores import Score
from luthier.errors import DataError, NumericsError, RecipeError
from luthier.errors.names import check_names
from luthier.evaluation import general_text
from luthier.evaluation.bootstrap import Floats, Reduction, exponential_ratio, ratio
from luthier.evaluation.digests import examples_digest, tokens_digest
from luthier.evaluation.measurement import Bootstrap, Measurement
from luthier.evaluation.memorised import memorised
from luthier.evaluation.metrics.metric import Attempt
from luthier.evaluation.metrics.statistics import statistics_of
from luthier.evaluation.questions import Question, questions
from luthier.evaluation.scores import Generated, Scores
from luthier.evaluation.tasks.task import Attempts, MeasuringTask, Task, TaskMeasurements
from luthier.models.evaluation_mode import evaluation_mode
from luthier.plugins.returned import misreturned, returned
from luthier.training.method import Method

GENERAL = ("general_loss", "general_perplexity")
"""The scores on general text."""


class Evaluation:
    """Measure held-out loss, a task and the loss on general text, each with a bootstrap interval over examples.

    From each set `examples` are sampled (0: all), by `seed` alone, so that every model is evaluated on the same ones.
    `general_examples` texts, cut to `general_length` tokens, show forgetting (0: not measured). `samples` answers
    of at most `sample_tokens` tokens are generated for the report. Of the model before training it is looked whether it
    knows the first `memorised` examples by heart (0: not looked at). Intervals cover `confidence` of `resamples` draws.
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
        memorised: int = 0,
        resamples: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.task, self.general, self.examples = task, general, examples
        self.general_examples, self.general_length = general_examples, general_length
        self.samples, self.sample_tokens, self.memorised = samples, sample_tokens, memorised
        if memorised and not general_examples:
            raise RecipeError(
                "What a model knows by heart is told from general text, and none is measured.",
                where="evaluation.memorised",
                hint="Set evaluation.general_examples to more than 0.",
            )
        self.bootstrap, self.seed = Bootstrap(resamples, confidence, seed), seed
        self.part: tuple[int, int] | None = None

    def reductions(self, method: Method | type[Method] | None = None) -> dict[str, Reduction]:
        """The reduction from statistics to value of each score, those of `method` included."""
        reductions = {"loss": ratio, **{name: metric.reduce for name, metric in self.task.metrics.items()}}
        if method is None or method.likelihood:
            reductions["perplexity"] = exponential_ratio
        if method is None or method.is_generative:
            reductions |= {"general_loss": ratio, "general_perplexity": exponential_ratio}
        return reductions | {name: measure.reduce for name, measure in (method.measures if method else {}).items()}

    def refuse_unmeasured(self, score: str, method: Method) -> None:
        """RecipeError where a recipe's score is none of those that are measured."""
        if score in GENERAL and not self.general_examples:
            raise RecipeError(
                f"The recipe's score is {score!r}, and no general text is measured.",
                where="score",
                hint="Set evaluation.general_examples to more than 0, or name another score.",
            )
        check_names([score], self.reductions(method), kind="score", where="score")

    def better(self, name: str, method: Method | None = None) -> str:
        """Which values of a score are better: `higher` or `lower`."""
        named: Any = (method.measures if method else {}).get(name) or self.task.metrics.get(name)
        return str(named.better) if named else "lower"  # a loss

    def __call__(
        self, predictor: Predictor, examples_by_name: Mapping[str, Sequence[Example]], *, untouched: bool = False
    ) -> Scores:
        """Evaluate a model in eval mode; the training mode of its network is restored afterwards.

        Of an `untouched` one, which is not trained yet, it is looked what it knows by heart, as `memorised` says.
        Raises DataError for a set without examples, and NumericsError where a loss is not finite.
        """
        started = time.monotonic()
        scores = Scores(self.bootstrap)
        with evaluation_mode(predictor.network):
            for place, (name, examples) in enumerate(examples_by_name.items()):
                self._measure_set(predictor, name, examples, scores, first=place == 0)
            if self.general_examples and _is_generative(predictor):
                self._measure_general(predictor, scores)
                if untouched and self.memorised:
                    some = self.choose(next(iter(examples_by_name.values())))[: self.memorised]
                    general = general_text.texts(self.general, self.general_examples)
                    scores.memorised = memorised(predictor, some, general, self.general_length)
        scores.set_aside_unscored()
        scores.seconds = time.monotonic() - started
        return scores

    def measure(self, predictor: Predictor, name: str, examples: Sequence[Example]) -> Score:
        """One score on a set of examples, without what the others need; errors as when all are measured."""
        return self.measurement(predictor, name, examples).score(self.bootstrap)

    def measurement(self, predictor: Predictor, name: str, examples: Sequence[Example]) -> Measurement:
        """What `measure` measures, with the statistics of each example."""
        scores, chosen = Scores(self.bootstrap), self.choose(examples)
        digest = examples_digest(chosen)
        with evaluation_mode(predictor.network):
            if name in GENERAL:
                self._measure_general(predictor, scores)
            elif name in self.task.metrics and isinstance(self.task, MeasuringTask):
                self._measure_by_task(self.task, predictor, scores)
            elif name in self.task.metrics and name not in (predictor.method.measures if predictor.method else ()):
                attempts = self._attempt(
                    predictor, "validation", examples, chosen, questions(chosen, predictor.prompt), scores
                )
                metric = self.task.metrics[name]
                statistics = statistics_of(metric, attempts.attempts)
                scores.measurements[name] = Measurement(statistics, metric.reduce, metric.better, digest)
            else:
                self._measure_by_method(predictor, chosen, "", digest, scores)
        scores.set_aside_unscored()
        if name not in scores.measurements:
            raise DataError(f"Nothing could be scored: {name!r} has a value for none of {len(chosen)} examples.")
        return scores.measurements[name]

    def _measure_set(
        self, predictor: Predictor, name: str, examples: Sequence[Example], scores: Scores, *, first: bool
    ) -> None:
        if not examples:
            raise DataError(
                f"The set {name!r} has no examples to evaluate on.", hint="Give it a larger share of the data."
            )
        before = "" if first else f"{name}/"
        chosen = self.choose(examples)
        scores.counts[f"{name}: examples evaluated"] = len(chosen)
        scores.counts[f"{name}: examples left out"] = len(examples) - len(chosen)
        chosen_questions = questions(chosen, predictor.prompt)
        digest, attempts = examples_digest(chosen), Attempts()
        if isinstance(self.task, MeasuringTask):
            if first:
                self._measure_by_task(self.task, predictor, scores)
        else:
            attempts = self._attempt(predictor, name, examples, chosen, chosen_questions, scores)
            self._measure_attempts(name, before, attempts, digest, scores)
        self._measure_by_method(predictor, chosen, before, digest, scores)
        if first:
            scores.samples = self._samples(predictor, chosen_questions, attempts)

    def _measure_by_task(self, task: MeasuringTask, predictor: Predictor, scores: Scores) -> None:
        """The scores of a task that brings its own examples, whichever the set."""
        found = returned(task.measurements(predictor), TaskMeasurements, task.measurements)
        if lacking := [name for name in self.task.metrics if name not in found.measurements]:
            raise misreturned(task.measurements, f"TaskMeasurements with {lacking[0]!r}", found)
        scores.measurements.update(found.measurements)
        scores.counts.update(found.counts)

    def _measure_attempts(self, name: str, before: str, attempts: Attempts, digest: str, scores: Scores) -> None:
        for metric_name, metric in self.task.metrics.items():
            statistics = statistics_of(metric, attempts.attempts)
            scores.measurements[before + metric_name] = Measurement(statistics, metric.reduce, metric.better, digest)
            if counted := getattr(metric, "counted", None):
                counts = returned(counted(statistics.sum(0)), Mapping, counted)
                scores.counts.update({f"{name}: {metric_name}: {what}": int(count) for what, count in counts.items()})

    def _measure_by_method(
        self, predictor: Predictor, chosen: Sequence[Example], before: str, digest: str, scores: Scores
    ) -> None:
        method, where = predictor.method, [str(example.get("where", "")) for example in chosen]
        by_name = {name: _finite(statistics, where) for name, statistics in predictor.measured(chosen).items()}
        losses = by_name.pop("loss")
        of_tokens = tokens_digest(digest, losses)
        scores.measurements[f"{before}loss"] = Measurement(losses, ratio, "lower", of_tokens)
        if method is None or method.likelihood:
            scores.measurements[f"{before}perplexity"] = Measurement(losses, exponential_ratio, "lower", of_tokens)
        for name, statistics in by_name.items():
            assert method is not None, "statistics beside the loss are those of a method"
            measure = method.measures[name]
            scores.measurements[before + name] = Measurement(statistics, measure.reduce, measure.better, digest)

    def _attempt(
        self,
        predictor: Predictor,
        name: str,
        examples: Sequence[Example],
        chosen: Sequence[Example],
        chosen_questions: list[Question],
        scores: Scores,
    ) -> Attempts:
        if not self.task.metrics:
            return Attempts()
        if not chosen_questions:
            raise DataError(
                f"No example of the set {name!r} ends with an assistant's text, so there is nothing to compare with.",
                hint="Use evaluation/task=none.",
            )
        for metric in self.task.metrics.values():  # a metric that cannot measure raises before answers are generated
            statistics_of(metric, [chosen_questions[0].attempt(chosen_questions[0].reference)])
        given = list(chosen_questions)  # a task may change its own list
        attempts = self.task(predictor, given, questions(examples, predictor.prompt))
        if len(returned(attempts, Attempts, self.task).attempts) != len(chosen_questions):
            expected = f"an attempt for each of {len(chosen_questions)} questions"
            raise misreturned(self.task, expected, attempts, shown=f"{len(attempts.attempts)} attempts")
        if odd := [one for one in attempts.attempts if not isinstance(one, Attempt) or not isinstance(one.output, str)]:
            raise misreturned(self.task, "Attempts with an Attempt of a text for each question", odd[0])
        if not isinstance(attempts.counts, Mapping):
            raise misreturned(self.task, "Attempts with counts by name", attempts.counts)
        scores.counts[f"{name}: examples without an answer"] = len(chosen) - len(chosen_questions)
        scores.counts.update({f"{name}: {what}": count for what, count in attempts.counts.items()})
        return attempts

    def _measure_general(self, predictor: Predictor, scores: Scores) -> None:
        general = general_text.texts(self.general, self.general_examples)
        losses, cut = general_text.text_losses(predictor, general, self.general_length)
        losses = _finite(losses, [f"general text {number}" for number in range(1, len(general) + 1)])
        digest = tokens_digest(examples_digest([{"text": text} for text in general]), losses)
        scores.measurements["general_loss"] = Measurement(losses, ratio, "lower", digest)
        scores.measurements["general_perplexity"] = Measurement(losses, exponential_ratio, "lower", digest)
        scores.counts |= {"general: texts evaluated": len(general), "general: texts cut": cut}

    def choose(self, examples: Sequence[Example]) -> list[Example]:
        """The sample of a set that is evaluated."""
        chosen = self._sample(examples)
        if self.part is None:
            return chosen
        order = np.random.default_rng([self.seed, len(chosen)]).permutation(len(chosen))
        return [chosen[index] for index in order[slice(*self.part)]]

    def of_part(self, first: int, last: int) -> Evaluation:
        """The same evaluation of the examples from `first` to before `last`, in an order drawn by `seed` alone."""
        part = copy(self)
        part.part = (first, last)
        return part

    def is_bounded(self, name: str) -> bool:
        """Whether a score is the mean of a value from 0 to 1 of each example, as its metric says by `bounded`."""
        return bool(getattr(self.task.metrics.get(name), "bounded", False))

    def _sample(self, examples: Sequence[Example]) -> list[Example]:
        if not self.examples or len(examples) <= self.examples:
            return list(examples)
        drawn = np.random.default_rng(self.seed).choice(len(examples), self.examples, replace=False)
        return [examples[index] for index in sorted(drawn)]

    def _samples(
        self, predictor: Predictor, chosen_questions: Sequence[Question], attempts: Attempts
    ) -> list[Generated]:
        shown = chosen_questions[: self.samples] if _is_generative(predictor) else []
        if self.task.writes:
            outputs = [attempt.output for attempt in attempts.attempts[: self.samples]]
        elif shown:
            greedy = Sampling(max_new_tokens=self.sample_tokens, temperature=0.0)
            answers = predictor.answers([question.conversation for question in shown], greedy)
            outputs = [answer.text + (" …" if answer.finish == "length" else "") for answer in answers]
        else:
            outputs = []
        return [
            Generated([dict(message) for message in question.conversation], output, question.reference)
            for question, output in zip(shown, outputs, strict=True)
        ]


def _is_generative(predictor: Predictor) -> bool:
    return predictor.method is None or predictor.method.is_generative


def _finite(measured: NDArray[np.floating[Any]], where: Sequence[str]) -> Floats:
    """The losses as float64; NumericsError names the first example whose loss is NaN or infinite."""
    losses = np.asarray(measured, dtype=np.float64)
    if (bad := np.flatnonzero(~np.isfinite(losses).all(1))).size:
        raise NumericsError(
            f"What was measured of {bad.size} of {len(losses)} evaluated examples is not finite.", where=where[bad[0]]
        )
    return losses
