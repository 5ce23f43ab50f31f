"""Prompting through the command line: a run without training, its artifact, and its prompts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.contracts.sampling import Sampling
from luthier.errors import RecipeError
from luthier.plugins.registry import Plugins
from luthier.workflows.artifact import load
from luthier.workflows.finished_run import FinishedRun
from luthier_prompting.prompt_template import PromptTemplate
from luthier_prompting.proposals.meta_prompt import instruction_requests
from tests.command import luthier

WORDS = (
    "data=demo", "model=tiny", "prompt=few_shot", "prompt/selection=nearest", "prompt.shots=3",
    "evaluation/task=calibrated", "evaluation.examples=12", "evaluation.general_examples=2", "evaluation.samples=12",
    "evaluation.sample_tokens=2", "stages=[evaluate]", "score=accuracy",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompting")
    done = luthier(*WORDS, f"hydra.run.dir={folder / 'run'}", LUTHIER_CACHE=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_nothing_held_out_is_ever_shown(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a question is shown stands in the training split, and no question of the test split among it."""
    monkeypatch.setenv("LUTHIER_CACHE", str(run.parent / "cache"))
    finished = FinishedRun.load(run, plugins=Plugins.from_flags([]))
    train = {example["messages"][0]["content"] for example in finished.data.examples("train")}
    held_out = {example["messages"][0]["content"] for example in finished.data.examples("test")}
    kept = [json.loads(line)["question"] for line in (run / "artifact" / "examples.jsonl").read_text().splitlines()]
    assert set(kept) <= train
    samples = json.loads((run / "record.json").read_text())["samples"]
    for sample in samples:
        asked = [turn["content"] for turn in sample["conversation"] if turn["role"] == "user"]
        assert len(asked) == 4
        assert set(asked[:-1]) <= train - held_out
        assert asked[-1] in held_out


def test_a_run_that_moves_no_weight_chats_with_its_prompt_and_is_measured_again(run: Path) -> None:
    cache = str(run.parent / "cache")
    chat = luthier("chat", str(run), "--message", "How is the violin?", "--max-new-tokens", "2", LUTHIER_CACHE=cache)
    assert chat.returncode == 0, chat.stderr
    again = luthier("evaluate", str(run), "--json", LUTHIER_CACHE=cache)
    assert again.returncode == 0, again.stderr
    scores = next(iter(json.loads(again.stdout)["models"].values()))["scores"]
    measured = {
        one["name"]: one["after"]["value"] for one in json.loads((run / "record.json").read_text())["comparisons"]
    }
    assert scores["accuracy"]["value"] == measured["accuracy"]
    assert scores["loss"]["value"] == pytest.approx(measured["loss"])


def test_an_earlier_run_writes_instructions_after_training_examples_and_past_its_own_prompt(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(run.parent / "cache"))
    words = (
        "data=demo", "data.limit=60", "data.splits.validation=0.2", "model=tiny", "prompt=searched", "prompt.sets=0",
        "+prompt/proposals@prompt.proposals.mine=by_run", f"prompt.proposals.mine.path={run}",
        "prompt.proposals.mine.count=2", "prompt.proposals.mine.tokens=6", "prompt.proposals.mine.shots=1",
        "prompt.budget=90", "evaluation.examples=2", "evaluation.general_examples=0", "evaluation.samples=0",
        "evaluation/task=classification", "score=accuracy", "stages=[search,evaluate]",
    )  # fmt: skip
    done = luthier(*words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    tried = {one["words"] for one in json.loads((tmp_path / "run" / "artifact" / "search.json").read_text())}
    loaded = load(tmp_path / "run")
    data = FinishedRun.load(tmp_path / "run", plugins=Plugins.from_flags([])).data
    pool = [PromptTemplate("", None).demonstration(example) for example in data.examples("train")]
    asked = [[{"role": "user", "content": one}] for one in instruction_requests(pool, count=2, shots=1, seed=0)]
    assert all(one[0]["content"].count("Input: ") == 1 for one in asked)
    writer, sampling = load(run), Sampling(max_new_tokens=6, temperature=0.8)
    assert tried == {"", *(answer.text.strip() for answer in writer.answers(asked, sampling))}
    assert tried != {"", *(answer.strip() for answer in writer.generate(asked, sampling))}
    assert loaded.prompt.chosen.system in tried


def test_an_export_carries_the_prompt_or_says_that_it_cannot(run: Path, tmp_path: Path) -> None:
    import luthier as product

    chosen = product.load(run)
    with pytest.raises(RecipeError, match="looks at each question") as refused:
        chosen.export(tmp_path / "chosen")
    assert "--without-prompt" in str(refused.value)
    words = ("prompt=instruction", "prompt.system=Say it briefly.", "debug=tiny", "stages=[evaluate]")
    quick = ("evaluation.examples=2", "evaluation.general_examples=0", "evaluation.samples=0")
    done = luthier(*words, *quick, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    exported = luthier("export", str(tmp_path / "run"), str(tmp_path / "plain"))
    assert exported.returncode == 0, exported.stderr
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Well?"}], tokenize=False)
    assert text.index("Say it briefly.") < text.index("Well?")


def test_few_shot_trains_on_longer_examples_and_a_plan_knows_how_long(tmp_path: Path) -> None:
    words = ("prompt=few_shot", "prompt.shots=1", "prompt.tokens=100", "debug=tiny")
    quick = ("evaluation.general_examples=0", "evaluation.samples=0")
    done = luthier(*words, *quick, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    tokens = json.loads((tmp_path / "run" / "record.json").read_text())["ledger"]["tokens"]
    assert sum(token["role"] == "assistant" and token["weight"] == 0 for token in tokens) > 0
    planned = json.loads(luthier("plan", *words, "--json").stdout)["data"]["longest"]
    assert planned >= len(tokens)
