"""Templates that think, forget or call tools, from the command line: previewed, planned, trained, asked, exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from luthier.models.template_settings import with_settings
from tests.framework.data_tokens import real_templates

TEMPLATES = real_templates.FOLDER
NO_THINKING = "model.template_settings={enable_thinking: false}"
EMPTY = "<think>\n\n</think>\n\n"
TOOL = {
    "type": "function",
    "function": {
        "name": "weigh",
        "description": "Weigh an instrument.",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


def talk(number: int, turns: int = 1, **reasoning: str) -> dict:
    messages = []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"Question {number}, {turn}?"})
        messages.append({"role": "assistant", "content": f"Answer {number}, {turn}.", **reasoning})
    return {"messages": messages}


def called(number: int) -> dict:
    """As OpenAI has it: arguments are text, content is null, results are told by their ids."""
    function = {"name": "weigh", "arguments": json.dumps({"name": f"viola {number}"})}
    call = {"id": f"call_{number:024}", "type": "function", "function": function}
    return {
        "messages": [
            {"role": "user", "content": f"How heavy is viola {number}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": f"{number} g"},
            {"role": "assistant", "content": f"It weighs {number} g."},
        ],
        "tools": [TOOL],
    }


@pytest.fixture
def rows(write):
    """`rows(ten of them)` writes mine.jsonl and gives the words of a recipe with it."""

    def put(examples: list[dict], template: str = "qwen3") -> list[str]:
        write("mine.jsonl", "".join(json.dumps(row) + "\n" for row in examples))
        source = template if template in ("chatml", "plain") else str(TEMPLATES / f"{template}.jinja")
        words = ["debug=tiny", "data=jsonl", "data.file=mine.jsonl", f"model.chat_template={source}"]
        return [*words, "data.splits.test=0", "batch.length=512"]

    return put


def texts(ledger: dict, *, trained: bool) -> str:
    return "".join(token["text"] for token in ledger["tokens"] if bool(token["weight"]) == trained)


def test_a_setting_of_the_template_is_part_of_what_is_encoded(luthier, rows):
    words = rows([talk(number) for number in range(4)])
    (thinking,) = luthier("preview", *words, "--json").record
    (quiet,) = luthier("preview", *words, NO_THINKING, "--json").record
    for ledger in (thinking, quiet):  # the data has no reasoning, so that none is trained
        assert texts(ledger, trained=False).endswith(f"<|im_start|>assistant\n{EMPTY}\n")
        assert texts(ledger, trained=True) == "Answer 0, 0.<|im_end|>"
    end = luthier("preview", *words, "model.template_settings={enable_thinkin: false}", "--json")
    assert end.code == 2
    assert "enable_thinking" in end.error["hint"]


def test_turns_that_a_template_forgets_are_shown_planned_and_counted(luthier, rows):
    words = rows([talk(number, 2, reasoning_content="Let me think.") for number in range(4)])
    first, second = luthier("preview", *words, "--json").record
    assert texts(first, trained=True) == "<think>\nLet me think.\n</think>\n\nAnswer 0, 0.<|im_end|>"
    assert texts(second, trained=True) == "<think>\nLet me think.\n</think>\n\nAnswer 0, 1.<|im_end|>"
    assert [finding["message"] for finding in second["findings"] if finding["name"] == "left_out"] == [
        "The chat template leaves out what it does not render: reasoning of earlier turns."
    ]
    assert "leaves out what it does not render" in luthier("preview", *words).out
    plan = luthier("plan", *words, "stages=[fit]")
    assert plan.code == 0, plan.err
    assert "reasoning of earlier turns (in 4)" in plan.out
    assert "4 train examples have turns before which the chat template renders" in plan.out
    whole = luthier("preview", *words, "data.turns=whole", "--json")
    assert whole.code == 3
    assert whole.error["where"] == "mine.jsonl:1"
    assert "data.turns=each" in whole.error["hint"]
    (last,) = luthier("preview", *words, "data.turns=last", "--json").record
    assert "Answer 0, 0." in texts(last, trained=False)


@pytest.mark.parametrize("template", ["chatml", "plain", "qwen2_5"])
def test_tools_and_calls_are_encoded_as_openai_has_them(luthier, rows, template):
    words = rows([called(number) for number in range(4)], template)
    (ledger,) = luthier("preview", *words, "--json").record
    assert '"name": "weigh", "arguments": {"name": "viola 0"}' in texts(ledger, trained=True)
    assert "Weigh an instrument." in texts(ledger, trained=False)
    assert not [finding for finding in ledger["findings"] if finding["severity"] == "error"]
    (note,) = [finding for finding in ledger["findings"] if finding["name"] == "left_out"]
    assert note["message"].endswith("tool call ids.")


@pytest.mark.parametrize(
    ("row", "template", "lacks"),
    [
        (called(1), "phi4", "tool calls of message 2 (assistant)"),
        (talk(1, reasoning_content="Hm."), "qwen2_5", "reasoning of message 2 (assistant)"),
    ],
)
def test_what_is_to_be_trained_and_not_rendered_ends_every_command(luthier, rows, row, template, lacks):
    words = rows([row], template)
    for verb in ("preview", "plan"):
        end = luthier(verb, *words, "--json")
        assert end.code == 3
        assert lacks in end.out + end.err
        assert "mine.jsonl:1" in end.out + end.err


@pytest.mark.parametrize(("way", "trained"), [("inline", "<think>\nHm.\n</think>\n\nAnswer"), ("drop", "Answer")])
def test_the_ways_out_of_reasoning_that_a_template_does_not_know_work(luthier, rows, way, trained):
    words = rows([talk(number, reasoning="Hm.") for number in range(4)], "qwen2_5")
    (ledger,) = luthier("preview", *words, f"data.reasoning={way}", "--json").record
    assert texts(ledger, trained=True) == f"{trained} 0, 0.<|im_end|>"


def test_a_key_of_messages_that_is_not_read_is_named(luthier, rows):
    row = talk(1)
    row["messages"][1]["audio_note"] = "sung"
    plan = luthier("plan", *rows([row, talk(2)]))
    words = " ".join(plan.out.split())
    assert "The key 'audio_note' of messages is not read, so nothing is learned of it (mine.jsonl:1)" in words


@pytest.fixture(scope="module")
def trained(tmp_path_factory, session_cache) -> Path:
    """A run with a template that thinks, on conversations of two turns and on calls, with a setting of its own."""
    from tests.command import luthier as command

    folder = tmp_path_factory.mktemp("thinking")
    examples = [talk(number, 2) for number in range(12)] + [called(number) for number in range(12)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in examples), encoding="utf-8")
    done = command(
        "debug=tiny", "data=jsonl", "data.file=mine.jsonl", f"model.chat_template={TEMPLATES / 'qwen3.jinja'}",
        NO_THINKING, "data.splits.test=0.3", "batch.length=512", "trainer.max_steps=2", "evaluation/task=generation",
        "evaluation.task.max_new_tokens=4", "name=thinking",
        cwd=folder, LUTHIER_CACHE=str(session_cache),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "thinking"


def test_a_run_says_how_many_examples_its_conversations_became_and_what_was_left_out(trained):
    record = json.loads((trained / "record.json").read_text(encoding="utf-8"))
    (source,) = record["data"]
    assert source["counts"]["turn_examples"] > source["counts"]["turns_apart"] > 0
    assert source["counts"]["left_out: tool call ids"] > 0
    notes = " ".join(record["warnings"])
    assert "data.turns=each" in notes
    assert "tool call ids" in notes


def test_an_export_renders_in_plain_transformers_without_settings_what_was_trained(luthier, trained, here):
    assert luthier("export", str(trained), "out").code == 0
    plain = AutoTokenizer.from_pretrained(here / "out")
    asked = called(3)["messages"][:3]
    asked[1]["tool_calls"][0]["function"]["arguments"] = {"name": "viola 3"}
    text = plain.apply_chat_template(asked, tools=[TOOL], tokenize=False, add_generation_prompt=True)
    assert text.endswith(f"<|im_start|>assistant\n{EMPTY}")
    own = with_settings(real_templates.source("qwen3"), {"enable_thinking": False})
    assert text == plain.apply_chat_template(
        asked, tools=[TOOL], chat_template=own, tokenize=False, add_generation_prompt=True
    )
    switched = plain.apply_chat_template(asked[:1], tokenize=False, add_generation_prompt=True, enable_thinking=True)
    assert switched.endswith("<|im_start|>assistant\n")


def test_a_run_is_asked_with_tools_and_its_setting(luthier, trained, write, monkeypatch):
    from luthier.inference.generation import answers

    prompts = []
    encode = answers.encode_prompt
    monkeypatch.setattr(answers, "encode_prompt", lambda *given: prompts.append(encode(*given)) or prompts[-1])
    write("tools.json", json.dumps([TOOL]))
    words = ["chat", str(trained), "--message", "How heavy?", "--max-new-tokens", "2", "--tools", "tools.json"]
    assert luthier(*words).code == 0
    text = AutoTokenizer.from_pretrained(trained / "artifact").decode(prompts[0].tolist())
    assert "Weigh an instrument." in text
    assert text.endswith(EMPTY)


def test_an_earlier_run_hands_its_setting_on(luthier, trained, rows):
    words = [word for word in rows([talk(1), talk(2)]) if "chat_template" not in word]
    (ledger,) = luthier("preview", *words, "model=run", f"model.path={trained}", "--json").record
    assert texts(ledger, trained=False).endswith(EMPTY + "\n")
    over = ["model=run", f"model.path={trained}", "model.template_settings={enable_thinking: true}"]
    (ledger,) = luthier("preview", *words, *over, "data.reasoning=field", "--json").record
    assert texts(ledger, trained=True) == "Answer 1, 0.<|im_end|>"
