"""The kinds of parts that a plugin can bring, and what its template of each does."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: its name, the question that its parts answer (none where a hook gives them), and its template.

    `asked_by` are the words of a recipe in which a nested question is asked, and `use` those that use the template's
    part; `ANSWER` stands for the answer's name.
    """

    name: str
    question: str
    does: str
    use: str
    asked_by: str = ""


KINDS = (
    Kind("method", "method", "which loss moves the weights", "method=ANSWER"),
    Kind("adaptation", "adaptation", "which weights move", "adaptation=ANSWER"),
    Kind("model", "model", "where the network comes from", "model=ANSWER model.path=MODEL.zip"),
    Kind("source", "data", "from which rows examples come", "data=ANSWER data.file=EXAMPLES.db"),
    Kind("reader", "data/reader", "how a kind of file is read", "data/reader=ANSWER data.file=FILE", "data=jsonl"),
    Kind("format", "data/format", "how a row becomes an example", "data/format=ANSWER data.file=FILE", "data=jsonl"),
    Kind(
        "filter", "data/filter", "which examples pass", "data.source.file=FILE +data/filter@data.filters.ANSWER=ANSWER",
        "data=filtered",
    ),
    Kind("prompt", "prompt", "how an example becomes text", "prompt=ANSWER"),
    Kind(
        "selection", "prompt/selection", "which examples a few-shot prompt shows", "prompt/selection=ANSWER",
        "prompt=few_shot",
    ),
    Kind("search", "prompt/search", "which passages belong to a question", "prompt/search=ANSWER", "prompt=retrieval"),
    Kind("optimizer", "optimizer", "how the weights move", "optimizer=ANSWER"),
    Kind("schedule", "optimizer/schedule", "how the learning rate changes", "optimizer/schedule=ANSWER"),
    Kind("trainer", "trainer", "on which machine, with which checkpoints", "trainer=ANSWER"),
    Kind("strategy", "trainer/strategy", "how devices share a training", "trainer/strategy=ANSWER"),
    Kind("tracker", "tracking", "who is told of metrics", "tracking=ANSWER"),
    Kind("task", "evaluation/task", "how the model answers what is measured", "evaluation/task=ANSWER"),
    Kind(
        "metric", "evaluation/metric", "how good answers are",
        "+evaluation/metric@evaluation.task.metrics.ANSWER=ANSWER", "evaluation/task=generation",
    ),
    Kind("reward", "method/reward", "what a sampled answer is worth", "method/reward=ANSWER", "method=grpo"),
    Kind("objective", "method/objective", "the loss of preference pairs", "method/objective=ANSWER", "method=dpo"),
    Kind("advantage", "method/advantage", "how much better an answer was", "method/advantage=ANSWER", "method=grpo"),
    Kind("rollout", "method/rollout", "how answers are sampled", "method/rollout=ANSWER", "method=grpo"),
    Kind("signal", "method/signal", "what a student learns of a teacher", "method/signal=ANSWER", "method=distill"),
    Kind("report_section", "", "a section of the report of a run", "debug=tiny"),
    Kind("verb", "", "a verb of the command line", ""),
    Kind("hook", "", "a check of recipes before anything is built", "debug=tiny"),
)  # fmt: skip
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_named(name: str) -> Kind:
    """RecipeError for an unknown one."""
    if (kind := _BY_NAME.get(name.replace("-", "_"))) is None:
        hint = nearest(name.replace("-", "_"), _BY_NAME, "There are", most=len(_BY_NAME))
        raise RecipeError(f"There is no kind of part {name!r}.", where="--kind", hint=hint)
    return kind
