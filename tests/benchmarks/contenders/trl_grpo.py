"""TRL's GRPOTrainer as it comes: its own precision and checkpointing defaults stay as they are."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from stopwatch import Stopwatch, arguments
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

GROUP, ROOM, SLACK = 8, 64, 64
asked = arguments()
watch = Stopwatch()
generating: list[float] = []
written: list[int] = []


def brief(completions: list[Any], **_: Any) -> list[float]:
    """Luthier's `method/reward=length` of one word, falling over the next 64."""
    words = [len(completion[0]["content"].split()) for completion in completions]
    return [max(0.0, 1 - abs(count - 1) / (SLACK + 1)) for count in words]


class Timed(GRPOTrainer):
    def training_step(self, model: Any, inputs: Any, *rest: Any) -> torch.Tensor:
        if self.state.global_step == 0 and not hasattr(self, "loss"):
            watch.start()
        elif self.state.global_step > len(watch.laps):
            watch.lap(written[len(watch.laps)], self.loss)
        loss = super().training_step(model, inputs, *rest)
        self.loss = loss.item()
        return loss

    def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        found = super()._generate_single_turn(*given, **named)
        generating.append(time.perf_counter() - began)
        written.append(sum(len(ids) for ids in found[0]))
        return found


lines = Path(asked.data).read_text(encoding="utf-8").splitlines()
data = Dataset.from_list([{"prompt": json.loads(line)["messages"][:-1]} for line in lines])
with tempfile.TemporaryDirectory() as folder:
    settings = GRPOConfig(
        output_dir=folder, max_steps=asked.steps, learning_rate=1e-6, use_cpu=True, report_to=[], save_strategy="no",
        per_device_train_batch_size=GROUP, num_generations=GROUP, max_completion_length=ROOM,
    )  # fmt: skip
    trainer = Timed(
        model=AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(asked.model),
        reward_funcs=brief,
        args=settings,
        train_dataset=data,
    )
    trainer.train()
    watch.lap(written[len(watch.laps)], trainer.loss)
for lap, seconds in zip(watch.laps, generating, strict=False):
    lap["generating"] = seconds
watch.write(asked.out)
