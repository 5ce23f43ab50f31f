"""Teacher sampling: the teacher answers a recipe's prompts once; a command that was cut off samples only the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.api import (
    Answer,
    DataError,
    Example,
    RecipeError,
    complete_lines,
    content_hash,
    conversation_of,
    encode_prompt,
    generate_from_tokens,
    prompt_of,
)
from luthier_distillation.endpoint import Endpoint, Reply
from luthier_distillation.sequence_level import FromTeacher
from luthier_distillation.student_teacher_inputs import teacher_example, with_trained_turn

if TYPE_CHECKING:
    import torch

    from luthier.api import Data
    from luthier_distillation.distill import Distillation

REPLIES, BATCH = "replies.jsonl", 32
"""The file of all replies, and the number of prompts between two writes to it."""


@dataclass(frozen=True, slots=True)
class AnsweredExample:
    """An example with the teacher's answer as its last turn, and the reply that the answer is of."""

    example: Example
    reply: Reply


@dataclass(frozen=True, slots=True)
class _Prompt:
    """An example of the data, the example as the teacher reads it, without an answer, and a key for both."""

    key: str
    example: Example
    teacher: Example


class TeacherSampling:
    """Samples the teacher's answers to training and validation prompts, and filters them by `method/sequences`."""

    def __init__(self, method: Distillation, data: Data, device: torch.device, folder: Path) -> None:
        if not isinstance(method.sequences, FromTeacher):
            raise RecipeError(
                "The recipe does not say how its teacher answers.",
                where="method/sequences",
                hint="Say method/sequences=teacher.",
            )
        self.method, self.data, self.device, self.folder = method, data, device, folder
        self.sequences = method.sequences
        self.sampling = replace(self.sequences.sampling, seed=data.seed)

    def __call__(self, report: Callable[[str], None]) -> Iterator[AnsweredExample]:
        """The examples whose answers pass, in the order of the data; `report` is called with lines of progress."""
        self.folder.mkdir(parents=True, exist_ok=True)
        prompts = list(self._prompts())
        replies = self._stored_replies()
        missing = [number for number, prompt in enumerate(prompts) if prompt.key not in replies]
        with (self.folder / REPLIES).open("a", encoding="utf-8") as file:
            for start in range(0, len(missing), BATCH):
                numbers = missing[start : start + BATCH]
                sampled = self._sample([prompts[number].teacher for number in numbers], numbers)
                for number, of_prompt in zip(numbers, sampled, strict=True):
                    key = prompts[number].key
                    replies[key] = of_prompt
                    file.write(json.dumps({"key": key, "replies": [reply.as_json() for reply in of_prompt]}) + "\n")
                file.flush()
                report(f"{min(start + BATCH, len(missing)):,} of {len(missing):,} prompts answered")
        for prompt in prompts:
            if (best := self._best(prompt.key, prompt.example, replies[prompt.key])) is not None:
                turn = {"role": "assistant", "content": best.text}
                messages = with_trained_turn(prompt_of(prompt.example), turn)
                yield AnsweredExample({**prompt.example, "messages": messages}, best)

    def _prompts(self) -> Iterator[_Prompt]:
        """The prompts of both splits; DataError for a plain text."""
        lineage = self.method.teacher.lineage()
        number = 0
        for split in ("train", "validation"):
            for example in self.data.examples(split):
                if "messages" not in example:
                    raise DataError("A plain text is no prompt.", where=str(example.get("where")))
                teacher = teacher_example(self.data.prompt(example))
                teacher = {**teacher, "messages": prompt_of(teacher)}
                chance = [asdict(self.sampling), number if self.sampling.temperature else 0]
                key = content_hash([lineage, teacher["messages"], teacher.get("tools"), chance])
                yield _Prompt(key, example, teacher)
                number += 1

    def _stored_replies(self) -> dict[str, list[Reply]]:
        """The replies of earlier commands, by key; an incomplete last line is removed."""
        file = self.folder / REPLIES
        lines = complete_lines(file) if file.is_file() else []
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return {line["key"]: [Reply(**reply) for reply in line["replies"]] for line in lines}

    def _sample(self, examples: Sequence[Example], numbers: Sequence[int]) -> list[list[Reply]]:
        teacher = self.method.teacher
        if isinstance(teacher, Endpoint):
            return teacher.replies([conversation_of(example) for example in examples], self.sampling)
        network, tokenizer = self.method.teacher_networks.generator(self.device)
        prompts = [encode_prompt(example, tokenizer) for example in examples]
        answers = iter(generate_from_tokens(network, tokenizer, prompts, self.sampling, numbers=numbers))
        groups = zip(*[answers] * self.sampling.num_samples, strict=True)
        return [[Reply(answer.text, answer.finish) for answer in group] for group in groups]

    def _best(self, key: str, example: Example, replies: Sequence[Reply]) -> Reply | None:
        tokenizer = self.method.model.tokenizer
        ids = [tokenizer(reply.text, add_special_tokens=False)["input_ids"] for reply in replies]
        answers = [Answer(tokens, reply.text, finish=reply.finish) for tokens, reply in zip(ids, replies, strict=True)]
        best = self.sequences.choose(key, example, answers)
        return next((reply for reply, answer in zip(replies, answers, strict=True) if answer is best), None)
