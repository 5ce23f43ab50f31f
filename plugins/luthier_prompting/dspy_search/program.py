"""DSPy's side of a search: the program that is optimised, the model that writes, and quiet."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from luthier_prompting.dspy_search.predictions import Asking

NOTHING = "Given the fields `question`, produce the fields `answer`."
"""What DSPy says where an instruction is empty."""


class Program(dspy.Module):  # type: ignore[misc]
    """One question and its answer. What DSPy changes, the instruction and the examples, goes into a prompt of ours."""

    def __init__(self, asking: Asking, instruction: str) -> None:
        super().__init__()
        self.asking = asking
        self.predict = dspy.Predict(dspy.Signature("question -> answer", instruction))

    def forward(self, question: str, number: int) -> Any:
        words = self.predict.signature.instructions
        shown = [one["question"] for one in self.predict.demos]
        answer, score = self.asking("" if words == NOTHING else words, shown, number)
        said = dspy.Prediction(answer=answer)
        if dspy.settings.trace is not None:
            dspy.settings.trace.append((self.predict, {"question": question}, said))
        return dspy.Prediction(answer=answer, score=score)


class Engine:
    """What DSPy asks a model for its words; it answers in this process, whatever DSPy knows of providers."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def complete(self, request: Request) -> Response:
        conversation = [{"role": turn.role, "content": turn.text or ""} for turn in request.messages]
        if request.system:
            conversation = [{"role": "system", "content": str(request.system)}, *conversation]
        said = self.asking.write(conversation, request.config.temperature or 0.0)
        parts = [TextPart(said or " ")]  # DSPy takes an empty answer for a fault
        usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
        return Response(
            id=None, model=request.model, message=Message.assistant(parts), finish_reason="stop", usage=usage
        )

    def stream(self, request: Request) -> Iterator[Any]:
        raise RuntimeError("Instructions are written whole: nobody listens while they are.")

    def close(self) -> None:
        """Nothing to end."""


class Lenient(dspy.ChatAdapter):  # type: ignore[misc]
    """DSPy's form of questions and answers; an answer in another form is taken as it stands, as small models need."""

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        try:
            return dict(super().parse(signature, completion))
        except dspy.AdapterParseError:
            if len(signature.output_fields) > 1:
                raise
            return {name: completion.strip() for name in signature.output_fields}


def training(asking: Asking, numbers: list[int]) -> list[Any]:
    """Training examples as DSPy sees them."""
    pool = asking.ground.pool
    return [_example(pool[number].question, pool[number].answer, number) for number in numbers]


def held_out(asking: Asking, begun: tuple[int, int]) -> list[Any]:
    """Held-out questions as DSPy sees them: numbers alone, so that no word of theirs gets into an instruction."""
    return [_example("", "", number) for number in asking.questions(begun)]


def _example(question: str, answer: str, number: int) -> Any:
    return dspy.Example(question=question, answer=answer, number=number).with_inputs("question", "number")


@contextmanager
def quietly(asking: Asking, temperature: float) -> Iterator[Any]:
    """Gives the writing model. Within, DSPy keeps no cache and no history, prints nothing and works in one thread."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    model = dspy.LM("luthier", engine=Engine(asking), cache=False, temperature=temperature, num_retries=0)
    logger, nowhere = logging.getLogger("dspy"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with (
            dspy.context(lm=model, adapter=Lenient(), disable_history=True, num_threads=1),
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            yield model
    finally:
        logger.setLevel(level)
