"""What an answer costs: prompt tokens, the wait for the first token, speed, memory, size; one question at a time."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luthier.contracts.sampling import Answer, Sampling
from luthier.data.encoding import encode_prompt
from luthier.errors import DataError
from luthier.evaluation.questions import questions
from luthier.training.memory import peak_bytes
from luthier.workflows import artifact
from luthier.workflows.finished_run import Finished

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.plugins.registry import Plugins


@dataclass(frozen=True)
class Inference:
    """Medians over `answers` questions in a process of their own, after one that does not count.

    Seconds begin when the question is asked, so that what the prompt looks up is part of them. `tokens_per_second` is
    that of writing, behind the first token; None where no answer has more. `memory` is the peak of the process, or of
    its GPU; `weights` are the bytes that the network takes, `artifact` those of what the run left.
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
    """Load what a run left and ask it questions of its own test split; at most `tokens` tokens are written for each.

    Raises RecipeError where there is no artifact, and DataError where the data holds no question.
    """
    finished = Finished.load(run, plugins=plugins, vouched=vouched)
    examples = finished.data.examples("test") or finished.data.examples("validation")
    asked = [example for example in examples if questions([example], finished.subject.prompt)][: answers + 1]
    if not asked:
        raise DataError("The data holds no question to ask.", where=str(run))
    timed = [_ask(finished, example, Sampling(max_new_tokens=tokens)) for example in [asked[0], *asked]][2:]
    timed = timed or [_ask(finished, asked[0], Sampling(max_new_tokens=tokens))]
    written, writing = sum(one.tokens - 1 for one in timed), sum(one.last - one.first for one in timed)
    network = finished.subject.network
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
        artifact=sum(file.stat().st_size for file in artifact.find_artifact(run).rglob("*") if file.is_file()),
        device=torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
    )


def _ask(finished: Finished, example: Example, sampling: Sampling) -> _Timed:
    heard: list[float] = []

    def hear(answer: Answer) -> None:
        heard.append(time.perf_counter())

    began = time.perf_counter()
    (turn,) = questions([example], finished.subject.prompt)
    finished.subject.answers([turn.conversation], sampling, on_token=hear)
    whole = time.perf_counter() - began
    prompt = len(encode_prompt({"messages": list(turn.conversation)}, finished.subject.tokenizer))
    return _Timed(prompt, len(heard), heard[0] - began, heard[-1] - began, whole)
