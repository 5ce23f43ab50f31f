"""The loop that one would write by hand with transformers: padded batches, full logits, autocast, fused AdamW."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from stopwatch import Stopwatch, arguments
from transformers import AutoModelForCausalLM, AutoTokenizer

ROWS = 4

asked = arguments()
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(asked.model)
network = AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32).train()
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=0.01, fused=True)

examples = []
for line in Path(asked.data).read_text(encoding="utf-8").splitlines():
    messages = json.loads(line)["messages"]
    text = tokenizer.apply_chat_template(messages, return_dict=False)
    start = len(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False))
    examples.append((text, [-100] * start + text[start:]))

watch = Stopwatch()
for step in range(asked.steps):
    rows = [examples[(step * ROWS + row) % len(examples)] for row in range(ROWS)]
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=asked.precision == "bf16"):
        loss = network(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    watch.lap(int(mask.sum()), loss.item())
watch.write(asked.out)
