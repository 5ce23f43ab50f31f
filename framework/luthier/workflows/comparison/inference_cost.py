"""Inference cost, one prompt at a time: prompt tokens, time to first token, tokens/s, memory, size on disk."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luthier.contracts.sampling import Answer, Sampling
from luthier.data.encoding import encode_prompt
from luthier.data.examples import example_of
from luthier.disk.reading import size_of
from luthier.errors import DataError
from luthier.evaluation.questions import questions
from luthier.inference.class_scores import encode_for_classification
from luthier.training.memory import peak_bytes
from luthier.workflows import artifact
from luthier.workflows.finished_run import FinishedRun

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.plugins.registry import Plugins


@dataclass(frozen=True)
class Inference:
    """Medians over `answers` prompts after one warm-up prompt.

    Times are in seconds and start before the prompt is built, so that retrieval counts. `tokens_per_second` is the
    decoding rate after the first token; None where no answer has a second one. Sizes are in bytes: `memory` is the peak
    of the process, or of its GPU, `weights` those of the network's parameters, `artifact` those of its files.
    """

    answers: int
    prompt_tokens: float
    answer_tokens: float
    first_token: float
    seconds: float
    tokens_per_second: float | None
    memory: int
    weights: int
    artifact: int
    device: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Timed:
    prompt: int
    tokens: int
    first: float
    last: float
    whole: float


def measure(run: Path, *, plugins: Plugins, vouched: tuple[str, ...], answers: int, tokens: int) -> Inference:
    """Load a run's artifact and generate answers to prompts of its test split, of at most `tokens` tokens each.

    A classifier answers with the outputs of its head, which are no tokens.
    Raises RecipeError where there is no artifact, and DataError where no example has an answer.
    """
    finished = FinishedRun.load(run, plugins=plugins, vouched=vouched)
    examples = finished.data.examples("test") or finished.data.examples("validation")
    with_answer = [example for example in examples if _is_asked(finished, example)][: answers + 1]
    if not with_answer:
        raise DataError("The data has no example with an answer to generate.", where=str(run))
    timed = [
        _timed_answer(finished, example, Sampling(max_new_tokens=tokens)) for example in [with_answer[0], *with_answer]
    ][2:]
    timed = timed or [_timed_answer(finished, with_answer[0], Sampling(max_new_tokens=tokens))]
    written, writing = sum(max(one.tokens - 1, 0) for one in timed), sum(one.last - one.first for one in timed)
    network = finished.predictor.network
    device = next(network.parameters()).device
    return Inference(
        answers=len(timed),
        prompt_tokens=statistics.median(one.prompt for one in timed),
        answer_tokens=statistics.median(one.tokens for one in timed),
        first_token=statistics.median(one.first for one in timed),
        seconds=statistics.median(one.whole for one in timed),
        tokens_per_second=written / writing if written else None,
        memory=peak_bytes(),
        weights=sum(weight.numel() * weight.element_size() for weight in network.parameters()),
        artifact=size_of(artifact.find_artifact(run)),
        device=torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
    )


def _is_asked(finished: FinishedRun, example: Example) -> bool:
    return finished.predictor.is_classifier or bool(questions([example], finished.predictor.prompt))


def _timed_answer(finished: FinishedRun, example: Example, sampling: Sampling) -> _Timed:
    times: list[float] = []

    def on_token(answer: Answer) -> None:
        times.append(time.perf_counter())

    began = time.perf_counter()
    if finished.predictor.is_classifier:
        finished.predictor.class_outputs([example])
        whole = time.perf_counter() - began
        read, _ = encode_for_classification(example, finished.predictor.tokenizer)
        return _Timed(len(read), 0, whole, whole, whole)
    (turn,) = questions([example], finished.predictor.prompt)
    finished.predictor.answers([turn.conversation], sampling, on_token=on_token)
    whole = time.perf_counter() - began
    prompt = len(encode_prompt(example_of(turn.conversation), finished.predictor.tokenizer))
    return _Timed(prompt, len(times), times[0] - began, times[-1] - began, whole)
