"""Prompt and context distillation: a prompt for the teacher that the student does not get."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import Example, Prompt
from luthier_distillation.student_teacher_inputs import TEACHER_MESSAGES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TEACHER_FOLDER = "teacher"


class ForTeacher(Prompt):
    """The student's prompt, and the teacher's messages by a prompt of its own, for `method=distill`.

    The effect of the teacher's prompt moves into the student's weights (Askell et al., 2021; Snell et al., 2022). A
    run's artifact has the student's prompt.
    """

    def __init__(self, *, student: Any, teacher: Any) -> None:
        self.student: Prompt = student
        self.teacher: Prompt = teacher

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        examples = list(examples)
        self.student.learn(examples, tokenizer)
        self.teacher.learn(examples, tokenizer)

    def __call__(self, example: Example) -> Example:
        if "messages" not in example:
            return self.student(example)
        return {**self.student(example), TEACHER_MESSAGES: self.teacher(example)["messages"]}

    def save(self, folder: Path) -> None:
        self.student.save(folder)
        (folder / _TEACHER_FOLDER).mkdir(exist_ok=True)
        self.teacher.save(folder / _TEACHER_FOLDER)

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.student.load(folder, tokenizer)
        self.teacher.load(folder / _TEACHER_FOLDER, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.student.opening()

    @property
    def warnings(self) -> list[str]:
        return [*self.student.warnings, *(f"The teacher's prompt: {warning}" for warning in self.teacher.warnings)]
