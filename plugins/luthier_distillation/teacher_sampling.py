"""Ask a teacher for answers, once: what it wrote is kept, and a command that was cut off asks only for the rest."""

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
    encode_prompt,
    generate_from_tokens,
    prompt_of,
)
from luthier_distillation.answers import FromTeacher
from luthier_distillation.endpoint import Endpoint, Reply
from luthier_distillation.student_teacher_inputs import muted, shown

if TYPE_CHECKING:
    import torch

    from luthier.api import Data
    from luthier_distillation.distill import Distillation

REPLIES, AT_ONCE = "replies.jsonl", 32


@dataclass(frozen=True, slots=True)
class Written:
    """An example that the teacher answered, as data to learn from, and its reply."""

    example: Example
    reply: Reply


class Asking:
    """Lets a recipe's teacher answer its training and validation prompts, and chooses as `method/sequences` says."""

    def __init__(self, method: Distillation, data: Data, device: torch.device, folder: Path) -> None:
        if not isinstance(method.sequences, FromTeacher):
            raise RecipeError(
                "The recipe does not say how its teacher answers.",
                where="method/sequences",
                hint="Say method/sequences=teacher.",
            )
        self.method, self.data, self.device, self.folder = method, data, device, folder
        self.choice = method.sequences
        self.sampling = replace(self.choice.sampling, seed=data.seed)

    def __call__(self, heard: Callable[[str], None]) -> Iterator[Written]:
        """The examples whose answers pass, in the order of the data."""
        self.folder.mkdir(parents=True, exist_ok=True)
        asked = list(self._prompts())
        known = self._known()
        missing = [place for place, (key, _, _) in enumerate(asked) if key not in known]
        with (self.folder / REPLIES).open("a", encoding="utf-8") as file:
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                for place, replies in zip(some, self._written([asked[each][2] for each in some], some), strict=True):
                    key = asked[place][0]
                    known[key] = replies
                    file.write(json.dumps({"key": key, "replies": [each.as_json() for each in replies]}) + "\n")
                file.flush()
                heard(f"{min(start + AT_ONCE, len(missing)):,} of {len(missing):,} prompts answered")
        for key, example, _ in asked:
            if (reply := self._chosen(key, example, known[key])) is not None:
                turn = {"role": "assistant", "content": reply.text}
                yield Written({**example, "messages": muted(prompt_of(example), turn)}, reply)

    def _prompts(self) -> Iterator[tuple[str, Example, Example]]:
        """A key of each question, its example, and the example as the teacher is shown it, without an answer."""
        lineage = self.method.teacher.lineage()
        number = 0
        for split in ("train", "validation"):
            for example in self.data.examples(split):
                if "messages" not in example:
                    raise DataError("A plain text is no prompt.", where=str(example.get("where")))
                seen = shown(self.data.prompt(example))
                seen = {**seen, "messages": prompt_of(seen)}
                chance = [asdict(self.sampling), number if self.sampling.temperature else 0]
                yield content_hash([lineage, seen["messages"], seen.get("tools"), chance]), example, seen
                number += 1

    def _known(self) -> dict[str, list[Reply]]:
        """What was answered before; a line that was cut off is cut away."""
        file = self.folder / REPLIES
        lines = complete_lines(file) if file.is_file() else []
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return {line["key"]: [Reply(**reply) for reply in line["replies"]] for line in lines}

    def _written(self, asked: Sequence[Example], numbers: Sequence[int]) -> list[list[Reply]]:
        teacher = self.method.teacher
        if isinstance(teacher, Endpoint):
            return teacher.replies([example["messages"] for example in asked], self.sampling)
        network, tokenizer = self.method.live.writer(self.device)
        prompts = [encode_prompt(example, tokenizer) for example in asked]
        answers = iter(generate_from_tokens(network, tokenizer, prompts, self.sampling, numbers=numbers))
        each = zip(*[answers] * self.sampling.num_samples, strict=True)
        return [[Reply(answer.text, answer.finish) for answer in group] for group in each]

    def _chosen(self, key: str, example: Example, replies: Sequence[Reply]) -> Reply | None:
        tokenizer = self.method.model.tokenizer
        ids = [tokenizer(reply.text, add_special_tokens=False)["input_ids"] for reply in replies]
        answers = [Answer(each, reply.text, finish=reply.finish) for each, reply in zip(ids, replies, strict=True)]
        found = self.choice.choose(key, example, answers)
        return next((reply for reply, answer in zip(replies, answers, strict=True) if answer is found), None)
