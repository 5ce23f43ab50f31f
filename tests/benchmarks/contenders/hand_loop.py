"""A hand-written loop with every trick of luthier's, and nothing of its framework: what the framework costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from stopwatch import Stopwatch, arguments
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.contracts.batch import Row, TokenSequence
from luthier.data.collate import collate
from luthier.data.packing import best_fit
from luthier.models import attention
from luthier.models.lm_head import find_lm_head, hidden_states
from luthier.training.allocator import keep_freed_memory

LENGTH = 2048

asked = arguments()
keep_freed_memory()
attention.register()
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(asked.model)
network = AutoModelForCausalLM.from_pretrained(
    asked.model, dtype=torch.float32, attn_implementation=attention.PACKED_ATTENTION
).train()
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
head = find_lm_head(network)

rows = []
for line in Path(asked.data).read_text(encoding="utf-8").splitlines():
    messages = json.loads(line)["messages"]
    ids = np.array(tokenizer.apply_chat_template(messages, return_dict=False), dtype=np.int32)
    weights = np.ones(len(ids), dtype=np.float32)
    weights[: len(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False))] = 0
    rows.append(Row((TokenSequence(ids, weights),)))
blocks = best_fit(np.array([len(row) for row in rows]), LENGTH)
order = np.random.default_rng(0).permutation(len(blocks))

watch = Stopwatch()
for step in range(asked.steps):
    batch = collate([[rows[at] for at in blocks[order[step % len(order)]]]], LENGTH)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=asked.precision == "bf16"):
        hidden = hidden_states(network, batch)[:, :-1]
        total, weight = head.cross_entropy(
            hidden.flatten(0, 1), batch.input_ids[:, 1:].flatten(), batch.weights[:, 1:].flatten()
        )
    (total / weight).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    watch.lap(batch.tokens, (total / weight).item())
watch.write(asked.out)
