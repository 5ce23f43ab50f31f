"""What the teacher is shown that the student is not: prompt and context distillation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import Example, Prompt
from luthier_distillation.student_teacher_inputs import SHOWN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_THEIRS = "teacher"


class ForTeacher(Prompt):
    """The student's prompt, and beside it the messages as the `teacher`'s prompt shows them, for `method=distill`.

    What a prompt does to a model becomes what the model does by itself (Askell et al., 2021; Snell et al., 2022). A
    run's artifact asks as the student was asked.
    """

    def __init__(self, *, student: Any, teacher: Any) -> None:
        self.student: Prompt = student
        self.teacher: Prompt = teacher

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        seen = list(examples)
        self.student.learn(seen, tokenizer)
        self.teacher.learn(seen, tokenizer)

    def __call__(self, example: Example) -> Example:
        if "messages" not in example:
            return self.student(example)
        return {**self.student(example), SHOWN: self.teacher(example)["messages"]}

    def save(self, folder: Path) -> None:
        self.student.save(folder)
        (folder / _THEIRS).mkdir(exist_ok=True)
        self.teacher.save(folder / _THEIRS)

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.student.load(folder, tokenizer)
        self.teacher.load(folder / _THEIRS, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.student.opening()

    @property
    def warnings(self) -> list[str]:
        return [*self.student.warnings, *(f"The teacher's prompt: {said}" for said in self.teacher.warnings)]
