"""Tasks of lm-evaluation-harness as an evaluation's task."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from luthier.api import (
    Attempts,
    Measurement,
    Metric,
    Needs,
    Predictor,
    Question,
    RecipeError,
    TaskMeasurements,
    content_hash,
    imported,
)
from luthier_harness.reductions import HarnessMetric, metric_of
from luthier_harness.task_file import WHERE, task_configs


class HarnessTask:
    """Measure tasks of lm-evaluation-harness, which bring examples of their own, with the harness's own code.

    Task files and data are local; what is code in a task file is refused, and its templates are rendered in a sandbox.
    Scores are called `task/metric`, with an interval over the task's examples. With `chat` each question goes through
    the run's prompt (retrieval and few-shot examples included) and the chat template; without it the model is given
    plain text, as the harness does by default. `shots` examples stand before each question, drawn by `seed`; `limit` is
    the most examples of each task.
    """

    writes = False
    needs: ClassVar[Needs] = {"lm_eval": "luthier[harness]"}

    def __init__(
        self, *, path: str, shots: int | None = None, limit: int | None = None, chat: bool = True, seed: int = 0
    ) -> None:
        if limit is not None and limit < 1:
            raise RecipeError(f"limit is {limit}.", where="evaluation.task.limit", hint="Use 1 or more, or null.")
        self.path, self.shots, self.limit, self.chat, self.seed = path, shots, limit, chat, seed

    def __call__(self, predictor: Predictor, questions: Sequence[Question], known: Sequence[Question]) -> Attempts:
        """Nothing: the tasks have questions of their own."""
        return Attempts()

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Each metric of each task, by the name of its score; RecipeError for one that has no value of each example."""
        return dict(self._metrics)

    @cached_property
    def _metrics(self) -> dict[str, HarnessMetric]:
        return {
            _name(task, metric, one.name): metric_of(built, metric, task)
            for task, built in self._tasks.items()
            for one in built._filters
            for metric in built._metric_fn_list
        }

    @cached_property
    def _scratch(self) -> TemporaryDirectory[str]:
        """Where the harness puts the data that it reads; nothing of it is kept, so that nothing is trusted unread."""
        return TemporaryDirectory(prefix="luthier-harness-")

    @cached_property
    def _configs(self) -> dict[str, dict[str, Any]]:
        return task_configs(self.path)

    @cached_property
    def _tasks(self) -> dict[str, Any]:
        """The harness's own tasks, with their data read."""
        api = imported("lm_eval.api.task", "luthier[harness]", "evaluation/task=harness", where=WHERE)
        built = {}
        for name, config in self._configs.items():
            own = {**config, "dataset_kwargs": {**config["dataset_kwargs"], "cache_dir": self._scratch.name}}
            try:
                with _quiet(), _sandboxed():
                    built[name] = api.ConfigurableTask(config=own)
            except Exception as error:  # of the harness, for what the file says
                message = f"The harness cannot use the task {name}: {type(error).__name__}: {error}."
                raise RecipeError(message, where=self.path) from error
        return built

    def measurements(self, predictor: Predictor) -> TaskMeasurements:
        """Every score of every task; RecipeError where the harness cannot ask this model."""
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.tasks import TaskManager

        from luthier_harness.model import HarnessModel

        model = HarnessModel(predictor)
        with _quiet(), _sandboxed():
            found: Any = simple_evaluate(
                model=model, tasks=list(self._tasks.values()), task_manager=TaskManager(include_defaults=False),
                num_fewshot=self.shots, limit=self.limit, bootstrap_iters=0, log_samples=True,
                apply_chat_template=self.chat, random_seed=None, numpy_random_seed=None, torch_random_seed=None,
                fewshot_random_seed=self.seed,
            )  # fmt: skip
        measured: dict[str, Measurement] = {}
        counts: dict[str, int] = {}
        for task, samples in found["samples"].items():
            for one in self._tasks[task]._filters:
                mine = sorted((each for each in samples if each["filter"] == one.name), key=lambda each: each["doc_id"])
                digest = content_hash([self._configs[task], self.shots, self.chat, [each["doc_hash"] for each in mine]])
                for metric in self._tasks[task]._metric_fn_list:
                    name = _name(task, metric, one.name)
                    statistics = self._metrics[name].of([each[metric] for each in mine])
                    known = self._metrics[name]
                    measured[name] = Measurement(statistics, known.reduce, known.better, digest[:16])
            counts[f"{task}: examples evaluated"] = len({each["doc_id"] for each in samples})
        if model.cut:
            counts["harness: contexts cut on their left to the model's length"] = model.cut
        return TaskMeasurements(measured, counts)


def _name(task: str, metric: str, filtered: str) -> str:
    return f"{task}/{metric}" if filtered == "none" else f"{task}/{metric}_{filtered}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars of the harness and of datasets; warnings are logged, errors raised."""
    with redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _sandboxed() -> Iterator[None]:
    """The templates of task files are rendered in Jinja's sandbox, by the harness's own filters."""
    from jinja2 import BaseLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    own = utils.env
    sandbox = ImmutableSandboxedEnvironment(loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True)
    sandbox.filters.update(own.filters)
    utils.env = sandbox
    try:
        yield
    finally:
        utils.env = own
