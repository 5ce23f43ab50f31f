"""A chat template that is refused is named by its file, with the way out that was tried."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

SHOWN = "<|im_start|>{{ m.role }}%s\n{{ m.content }}<|im_end|>\n"
PROMPT = "{%% if add_generation_prompt %%}<|im_start|>%s\n{%% endif %%}"
TEMPLATES = {
    "another prompt": "{% for m in messages %}" + SHOWN % "" + "{% endfor %}" + PROMPT % "bot",
    "another first answer": "{% for m in messages %}"
    + SHOWN % "{{ ' (first)' if loop.index0 == 1 and m.role == 'assistant' else '' }}"
    + "{% endfor %}"
    + PROMPT % "assistant",
    "no second question": "{% for m in messages %}{{ raise_exception('one question') if loop.index0 == 2 else '' }}"
    + SHOWN % ""
    + "{% endfor %}"
    + PROMPT % "assistant",
    "no end": "{% for m in messages %}",
}
OURS = ("data=jsonl", "data.file=chat.jsonl", "batch.length=128", "model.chat_template=mine.jinja")


def _write(folder: Path, template: str, **first: Any) -> None:
    (folder / "mine.jinja").write_text(TEMPLATES[template])
    turns = [("user", "say {}"), ("assistant", "one {}"), ("user", "more {}"), ("assistant", "two {}")]
    rows = [[{"role": role, "content": text.format(n)} for role, text in turns] for n in range(12)]
    for messages in rows:
        messages[1] |= first
    (folder / "chat.jsonl").write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_refusal_names_the_file_of_the_template(template: str, here: Path, luthier: Any) -> None:
    _write(here, template)
    end = luthier("plan", *OURS, "--json")
    (problem,) = end.record["problems"]
    assert end.code == 3
    assert "The chat template mine.jinja " in problem["message"]


def test_weight_0_is_named_where_it_helps_and_nowhere_else(here: Path, luthier: Any) -> None:
    _write(here, "another first answer")
    (problem,) = luthier("plan", *OURS, "--json").record["problems"]
    assert "give the earlier ones weight 0, or set data.turns=last" in problem["hint"]
    assert luthier("plan", *OURS, "data.turns=last").code == 0
    _write(here, "another first answer", weight=0)
    assert luthier("plan", *OURS).code == 0
    _write(here, "another prompt")
    (problem,) = luthier("plan", *OURS, "--json").record["problems"]
    assert "weight 0" not in problem["hint"]


def test_truncation_that_leaves_no_answer_is_not_blamed_on_the_template(here: Path, luthier: Any) -> None:
    _write(here, "another first answer")
    rows = [{"prompt": "word " * 300, "completion": f"two {n}"} for n in range(12)]
    (here / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("data=jsonl", "data.file=chat.jsonl", "batch.length=64", "batch.overlong=truncate", "stages=[fit]")
    end = luthier(*words, "trainer.precision=fp32", "--json")
    assert end.code == 3
    assert "template" not in end.error["message"]
    assert "truncation removed the answer" in end.error["message"]
    assert shlex.split(end.error["hint"])
