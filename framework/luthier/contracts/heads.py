"""What the outputs of a classification head mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Problem = Literal["single_label_classification", "multi_label_classification", "regression", "token_classification"]
"""As transformers names them in `problem_type`; `token_classification` is that of its ForTokenClassification."""
TAGGER_ENDING = "ForTokenClassification"
"""How the names of the classes of transformers end whose head tags each token."""


@dataclass(frozen=True, slots=True)
class Head:
    """The labels of a classification head in the order of its outputs, and what an output is.

    Of one label per text outputs are logits of a softmax, of several labels each is the logit of its own label, and a
    regression has one output, the number itself, which `labels` gives a name. Of a tagger they are the tags of words,
    such as `B-ORG`, and outputs are of each token.
    """

    labels: tuple[str, ...]
    """One for each output."""
    problem: Problem = "single_label_classification"
    """What the outputs are, as transformers names it."""

    def write(self, config: Any) -> None:
        """Put it into a configuration of transformers, which pipelines read."""
        config.num_labels = len(self.labels)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {label: number for number, label in enumerate(self.labels)}
        config.problem_type = None if self.problem == "token_classification" else self.problem

    @classmethod
    def of(cls, config: Any) -> Head | None:
        """That of a configuration; None where it does not say what its outputs are, as of a reward model."""
        problem = getattr(config, "problem_type", None)
        named = next(iter(getattr(config, "architectures", None) or []), "")
        if named.endswith(TAGGER_ENDING):
            problem = "token_classification"
        if problem is None:
            return None
        return cls(tuple(config.id2label[number] for number in range(config.num_labels)), problem)

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {"labels": list(self.labels), "problem": self.problem}

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> Head:
        """What `as_json` gave."""
        return cls(tuple(stated["labels"]), stated["problem"])
