"""TRL's SFTTrainer as it comes, or packing; its other defaults, such as checkpointing, stay as they are."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from stopwatch import Stopwatch, arguments
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

PACKING = "--packing" in sys.argv
if PACKING:
    sys.argv.remove("--packing")
asked = arguments()
watch = Stopwatch()


class Timed(SFTTrainer):
    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any) -> torch.Tensor:
        mask = inputs.get("attention_mask")
        tokens = inputs["input_ids"].numel() if mask is None else int(mask.sum())
        if len(watch.laps) == 0 and not hasattr(self, "pending"):
            watch.start()
        elif hasattr(self, "pending"):
            watch.lap(*self.pending)
        loss = super().training_step(model, inputs, *rest)
        self.pending = (tokens, loss.item())
        return loss


lines = Path(asked.data).read_text(encoding="utf-8").splitlines()
messages = [json.loads(line)["messages"] for line in lines]
data = Dataset.from_list([{"prompt": some[:-1], "completion": some[-1:]} for some in messages])
shape: dict[str, Any] = {"packing": True, "max_length": 2048, "per_device_train_batch_size": 1}
if not PACKING:
    shape = {"max_length": 512, "per_device_train_batch_size": 4}

with tempfile.TemporaryDirectory() as folder:
    settings = SFTConfig(
        output_dir=folder, max_steps=asked.steps, learning_rate=1e-5, use_cpu=True, report_to=[], save_strategy="no",
        bf16=asked.precision == "bf16",
        **shape,
    )  # fmt: skip
    trainer = Timed(
        model=AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(asked.model),
        args=settings,
        train_dataset=data,
    )
    trainer.train()
    watch.lap(*trainer.pending)
    watch.write(asked.out)
