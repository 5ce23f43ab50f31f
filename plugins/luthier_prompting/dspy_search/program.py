"""The DSPy side of an optimisation: the program that is optimised, the model that writes, and DSPy's settings."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from luthier_prompting.dspy_search.predictions import PromptEvaluator

DEFAULT_INSTRUCTION = "Given the fields `question`, produce the fields `answer`."
"""DSPy's instruction where ours is empty."""


class Program(dspy.Module):  # type: ignore[misc]
    """Answers a question. DSPy changes its instruction and demonstrations; the evaluator puts them into our prompt."""

    def __init__(self, evaluator: PromptEvaluator, instruction: str) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.predict = dspy.Predict(dspy.Signature("question -> answer", instruction))

    def forward(self, question: str, number: int) -> Any:
        instruction = self.predict.signature.instructions
        shown = [demonstration["question"] for demonstration in self.predict.demos]
        answer, score = self.evaluator("" if instruction == DEFAULT_INSTRUCTION else instruction, shown, number)
        if dspy.settings.trace is not None:
            dspy.settings.trace.append((self.predict, {"question": question}, dspy.Prediction(answer=answer)))
        return dspy.Prediction(answer=answer, score=score)


class WriterEngine:
    """DSPy's engine of the writing model: requests are answered in this process and not by one of DSPy's providers."""

    def __init__(self, evaluator: PromptEvaluator) -> None:
        self.evaluator = evaluator

    def complete(self, request: Request) -> Response:
        conversation = [{"role": turn.role, "content": turn.text or ""} for turn in request.messages]
        if request.system:
            conversation = [{"role": "system", "content": str(request.system)}, *conversation]
        reply = self.evaluator.write(conversation, request.config.temperature or 0.0)
        parts = [TextPart(reply or " ")]  # DSPy takes an empty answer for a fault
        usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
        return Response(
            id=None, model=request.model, message=Message.assistant(parts), finish_reason="stop", usage=usage
        )

    def stream(self, request: Request) -> Iterator[Any]:
        raise RuntimeError("The writing model does not stream its replies.")

    def close(self) -> None:
        """Nothing to release."""


class LenientChatAdapter(dspy.ChatAdapter):  # type: ignore[misc]
    """DSPy's chat format, except that an ill-formed reply is the value of the only output field.

    Small models often miss the format.
    """

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        try:
            return dict(super().parse(signature, completion))
        except dspy.AdapterParseError:
            if len(signature.output_fields) > 1:
                raise
            return {name: completion.strip() for name in signature.output_fields}


def training_examples(evaluator: PromptEvaluator, numbers: list[int]) -> list[Any]:
    """Training examples in DSPy's form."""
    pool = evaluator.space.pool
    return [_example(pool[number].question, pool[number].answer, number) for number in numbers]


def validation_examples(evaluator: PromptEvaluator, candidate: tuple[int, int]) -> list[Any]:
    """Validation questions in DSPy's form: numbers without texts, so that none of them leaks into an instruction."""
    return [_example("", "", number) for number in evaluator.answerable(candidate)]


def _example(question: str, answer: str, number: int) -> Any:
    return dspy.Example(question=question, answer=answer, number=number).with_inputs("question", "number")


@contextmanager
def writing_model(evaluator: PromptEvaluator, temperature: float) -> Iterator[Any]:
    """Yields DSPy's handle of the writing model; within, DSPy caches and prints nothing and uses one thread."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    model = dspy.LM("luthier", engine=WriterEngine(evaluator), cache=False, temperature=temperature, num_retries=0)
    logger, discarded = logging.getLogger("dspy"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with (
            dspy.context(lm=model, adapter=LenientChatAdapter(), disable_history=True, num_threads=1),
            redirect_stdout(discarded),
            redirect_stderr(discarded),
        ):
            yield model
    finally:
        logger.setLevel(level)
