"""Prompt optimisation: the choice, the budget and the artifact."""

from __future__ import annotations

import json

import pytest

from luthier.errors import DataError, RecipeError
from luthier.evaluation.metrics.accuracy import Accuracy
from luthier.evaluation.prompt_selection import ValidationPromptScorer
from luthier.evaluation.tasks.generation import Generation
from luthier_prompting.bedrock import BedrockTemplates
from luthier_prompting.choosing import CandidateSpace
from luthier_prompting.choosing.halving import SuccessiveHalving
from luthier_prompting.choosing.tpe import Tpe
from luthier_prompting.proposals.by_endpoint import EndpointProposals
from luthier_prompting.proposals.listed import ListedInstructions
from luthier_prompting.proposals.pattern import InstructionPattern
from luthier_prompting.searched import PromptSearch
from tests.command import luthier


class PreferringScorer:
    """A scorer that prefers one instruction, and more examples; it counts the questions."""

    size = 32

    def __init__(self, words: str = "Be brief.") -> None:
        self.words, self.questions = words, 0

    def __call__(self, prompt, count):
        self.questions += count
        shown = prompt({"messages": [{"role": "user", "content": "What?"}]})["messages"]
        return float(shown[0]["content"] == self.words) + 0.1 * len(shown)


def searched(reviews, tokenizer, **settings) -> PromptSearch:
    proposals = {"listed": ListedInstructions(instructions=["Be kind.", "Be brief.", " Be brief. "])}
    prompt = PromptSearch(**{"proposals": proposals, "choosing": SuccessiveHalving(least=2), "shots": 2, **settings})
    prompt.learn(reviews, tokenizer)
    return prompt


@pytest.mark.parametrize("choosing", [SuccessiveHalving(least=2), Tpe(trials=15)])
def test_the_prompt_that_the_model_answers_best_with_is_chosen_within_the_budget(choosing, reviews, tokenizer):
    prompt, scorer = searched(reviews, tokenizer, choosing=choosing, budget=300), PreferringScorer()
    prompt.choose(scorer)
    assert prompt.chosen.system == "Be brief."
    assert len(prompt.chosen.shown) == 2
    assert scorer.questions <= 300
    assert "'Be brief.'" in prompt.warnings[0]


class CountingScorer:
    """A scorer whose score is the instruction, a number; it records (number, count)."""

    size = 100

    def __init__(self):
        self.questions: list[tuple[int, int]] = []

    def __call__(self, prompt, count):
        self.questions.append((int(prompt.system), count))
        return float(prompt.system)


def test_halving_scores_the_better_half_on_twice_as_many_questions():
    scorer = CountingScorer()
    trials = SuccessiveHalving(least=1)(CandidateSpace([str(number) for number in range(8)], [[]], scorer, 64))
    assert [count for _, count in scorer.questions] == [2] * 8 + [4] * 4 + [8] * 2 + [16]
    assert trials[-1].instruction == 7
    assert {instruction for instruction, count in scorer.questions if count == 8} == {6, 7}
    scorer = CountingScorer()
    space = CandidateSpace([str(number) for number in range(50)], [[], []], scorer, 64)
    few = SuccessiveHalving(least=4)(space)
    assert sum(count for _, count in scorer.questions) == space.questions_used <= 64
    assert min(count for _, count in scorer.questions) >= 4
    assert (few[0].instruction, few[0].examples) == (0, 0), "the empty prompt is always tried"


def test_the_chosen_prompt_is_in_the_artifact_with_every_trial(reviews, tokenizer, tmp_path):
    prompt = searched(reviews, tokenizer, template="{{ question }}!")
    prompt.choose(PreferringScorer())
    prompt.save(tmp_path)
    again = searched(reviews, tokenizer)
    again.load(tmp_path, tokenizer)
    for example in reviews:
        assert again(example) == prompt(example)
    assert {one["words"] for one in json.loads((tmp_path / "search.json").read_text())} == {"", "Be kind.", "Be brief."}
    assert prompt.opening() is None
    plain = searched(reviews, tokenizer)
    plain.choose(PreferringScorer())
    assert plain.opening()[0] == {"role": "system", "content": "Be brief."}


def test_no_question_is_shown_its_own_answer_and_nothing_held_out_is_kept(reviews, tokenizer):
    prompt = searched(reviews, tokenizer, shots=6)
    prompt.choose(PreferringScorer())
    texts = [turn["content"] for turn in prompt(reviews[0])["messages"][:-2]]
    assert not [text for text in texts if reviews[0]["text"] in text]
    with pytest.raises(DataError, match="held out"):
        searched([{**reviews[0], "split": "validation"}], tokenizer)


def test_a_pattern_says_all_its_combinations():
    words = {"role": ["You are a critic.", "You judge."], "form": ["Be brief."]}
    assert InstructionPattern(sentence="{role} {form}", words=words)([]) == [
        "You are a critic. Be brief.",
        "You judge. Be brief.",
    ]
    assert len(InstructionPattern(sentence="{role} {form}", words=words, most=1)([])) == 1
    with pytest.raises(RecipeError, match="'form' stands in only one"):
        InstructionPattern(sentence="{role}", words=words)


def test_a_model_behind_an_address_writes_instructions_from_examples(reviews, tokenizer, monkeypatch, endpoint):
    monkeypatch.setenv("ENDPOINT_KEY", "secret")
    writer = EndpointProposals(address=endpoint.url, model="m", key="ENDPOINT_KEY", count=2)
    assert writer(searched(reviews, tokenizer).pool) == ["Judge the review."] * 2
    request = endpoint.requests[0]
    assert request["key"] == "Bearer secret"
    assert "Input: " in request["messages"][0]["content"]
    assert "Output: happy" in request["messages"][0]["content"]


def test_a_scorer_needs_a_validation_split_and_a_score_that_it_knows():
    class Evaluating:
        task, seed = Generation(metrics={"accuracy": Accuracy()}), 0

    with pytest.raises(DataError, match="no validation split"):
        ValidationPromptScorer(Evaluating(), None, [], "accuracy")
    with pytest.raises(RecipeError, match="by 'mood'"):
        ValidationPromptScorer(Evaluating(), None, [{}], "mood")


def test_a_run_searches_and_answers_with_what_it_chose(tmp_path):
    words = [
        "data=demo", "data.splits.validation=0.1", "data.limit=80", "model=tiny", "prompt=searched",
        'prompt.proposals.listed.instructions=["Say happy or unhappy."]', "prompt.sets=1", "prompt.shots=1",
        "prompt.budget=40", "evaluation/task=classification", "evaluation.examples=6", "evaluation.samples=1",
        "evaluation.sample_tokens=2", "evaluation.general_examples=0", "score=accuracy",
    ]  # fmt: skip
    refused = luthier(*words, "stages=[evaluate]", f"hydra.run.dir={tmp_path / 'no'}")
    assert "stages=[search,evaluate]" in refused.stderr
    done = luthier(*words, "stages=[search,evaluate]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "run" / "artifact" / "prompt.json").read_text())
    trials = json.loads((tmp_path / "run" / "artifact" / "search.json").read_text())
    assert sum(one["count"] for one in trials) <= 40
    shown = json.loads((tmp_path / "run" / "record.json").read_text())["samples"][0]["conversation"]
    assert (shown[0]["role"] == "system") == bool(chosen["system"])
    assert len([turn for turn in shown if turn["role"] == "user"]) == len(chosen["examples"]) + 1


def test_bedrocks_input_is_data_and_its_result_file_is_written(reviews, tokenizer, tmp_path):
    samples = [
        {"inputVariables": [{"review": f"Fine {number}"}, {"tone": "kind"}], "referenceResponse": "happy"}
        for number in range(4)
    ]
    line = {
        "version": "bedrock-2026-05-14", "templateId": "mood", "promptTemplate": "In a {{tone}} way: {{ review }}?",
        "evaluationSamples": samples,
    }  # fmt: skip
    file = tmp_path / "input.jsonl"
    file.write_text(json.dumps(line) + "\n" + json.dumps({**line, "templateId": "other"}), encoding="utf-8")
    with pytest.raises(RecipeError, match="holds 2 templates"):
        list(BedrockTemplates(file=str(file)))
    examples = list(BedrockTemplates(file=str(file), template="mood"))
    assert [turn["content"] for turn in examples[0]["messages"]] == ["In a kind way: Fine 0?", "happy"]
    prompt = searched([{**each, "split": "train"} for each in examples], tokenizer)
    prompt.choose(PreferringScorer())
    prompt.save(tmp_path)
    result_file = json.loads((tmp_path / "advanced_prompt_optimization_results.jsonl").read_text())
    assert result_file["promptTemplateId"] == "mood"
    (result,) = result_file["promptOptimizationResults"]
    assert result["status"] == "COMPLETED"
    assert result["optimizedPromptTemplate"].startswith("Be brief.\n\nIn a kind way: Fine")
    assert result["optimizedPromptTemplate"].endswith("In a {{tone}} way: {{ review }}?")
    del samples[1]["inputVariables"][0]
    file.write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(DataError, match="no value for 'review'"):
        list(BedrockTemplates(file=str(file)))
