"""Ensembles of whole answers: votes, the best of several, routes and cascades."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import yaml

import luthier
from luthier.contracts.batch import TokenSequence
from luthier.contracts.sampling import Answer, Sampling
from luthier.errors import RecipeError
from luthier.inference.generation import generate, score_labels
from luthier.inference.log_probabilities import log_probs
from luthier.models.random import Random
from luthier.testing.twin import twin
from luthier.workflows.earlier_run import EarlierRun
from luthier_ensemble.answers.best_of_n import BestOfN
from luthier_ensemble.answers.cascade import Cascade, CascadeNetwork
from luthier_ensemble.answers.router import Router
from luthier_ensemble.answers.vote import Vote, vote_of
from tests.command import luthier as command
from tests.plugins.ensemble.conftest import SIZE

CONVERSATIONS = [
    [{"role": "user", "content": text}] for text in ("Which wood is it?", "How much is the bridge?", "Why?")
]
SHORT = Sampling(max_new_tokens=5)
LABELS = ["yes", "no, never", "spruce"]


@pytest.fixture(scope="module")
def members() -> dict[str, Random]:
    """Two models with different vocabularies."""
    size = {**SIZE, "max_position_embeddings": 512, "initializer_range": 0.5}
    return {"one": Random(config=size, seed=1, vocabulary=300), "other": Random(config=size, seed=2, vocabulary=340)}


def alone(model: Random, conversations=CONVERSATIONS, sampling: Sampling = SHORT) -> list[str]:
    return [answer.text for answer in generate(model.network(), model.tokenizer, conversations, sampling)]


def together(model, conversations=CONVERSATIONS, sampling: Sampling = SHORT) -> list[str]:
    return [answer.text for answer in generate(model.network(), model.tokenizer, conversations, sampling)]


def labelled(model: Random) -> np.ndarray:
    found = np.exp(score_labels(model.network(), model.tokenizer, CONVERSATIONS, LABELS).astype(np.float64))
    return found / found.sum(1, keepdims=True)


def test_most_votes_win_and_of_equal_ones_the_first(members):
    network = Vote(members=members, weights={"other": 1.5}).network()
    by_member = [[Answer(text="It is Spruce."), Answer(text="pine")], [Answer(text="it is spruce"), Answer(text="elm")]]
    assert network.elected(by_member).text == "It is Spruce."
    assert network.elected([[Answer(text="pine")], [Answer(text="elm")]]).text == "elm"
    assert network.elected([[Answer(text="a"), Answer(text="b"), Answer(text="b")], [Answer(text="c")]]).text == "b"


def test_the_vote_of_an_answer_is_the_last_match_in_it():
    assert vote_of("3 and 4 make 7, so 7.", r"\d+") == "7"
    assert vote_of("Answer: 12 cm. Answer: 9 cm", r"Answer: (\d+)") == "9"
    assert vote_of("none", r"\d+") is None
    assert vote_of("  The Maple! ", None) == "maple"
    assert vote_of(" . ", None) is None


def test_members_with_other_tokens_vote_on_answers_and_on_labels(members):
    vote = Vote(members=members, weights={"other": 3.0})
    assert together(vote) == alone(members["other"])
    found = np.exp(score_labels(vote.network(), vote.tokenizer, CONVERSATIONS, LABELS))
    wanted = 0.25 * labelled(members["one"]) + 0.75 * labelled(members["other"])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_several_samples_are_drawn_and_counted_for_each_answer(members):
    vote = Vote(members={"one": members["one"]}, samples=3, temperature=2.0)
    drawn = alone(members["one"], sampling=Sampling(max_new_tokens=5, temperature=2.0, num_samples=6))
    found = together(vote, sampling=Sampling(max_new_tokens=5, num_samples=2))
    assert len(found) == 6
    for number, answer in enumerate(found):
        assert answer in drawn[3 * number : 3 * number + 3]


def test_the_answer_of_highest_reward_is_returned_and_one_without_a_score_never_before_it(members):
    def longest(prompt, answers, example):
        assert example["messages"] == list(prompt)
        return [None if number == 0 else float(len(answer)) for number, answer in enumerate(answers)]

    drawn = alone(members["one"], sampling=Sampling(max_new_tokens=5, temperature=2.0, num_samples=4))
    found = together(BestOfN(members={"one": members["one"]}, reward=longest, temperature=2.0))
    for number, answer in enumerate(found):
        assert answer == max(drawn[4 * number + 1 : 4 * number + 4], key=len)


def test_each_question_goes_to_the_member_with_the_nearest_examples(members):
    examples = {"one": ["How much is a violin?", "What does the bridge cost?"], "other": ["Which wood is the top?"]}
    router = Router(members=members, examples=examples)
    network = router.network()
    assert [network.route(each) for each in CONVERSATIONS] == [1, 0, 0]
    one, other = (alone(model) for model in members.values())
    assert together(router) == [other[0], one[1], one[2]]
    scores = np.exp(score_labels(network, router.tokenizer, CONVERSATIONS, LABELS))
    np.testing.assert_allclose(scores[:2], [labelled(members["other"])[0], labelled(members["one"])[1]], rtol=1e-4)


def test_a_cascade_returns_the_answer_of_the_first_member_whose_confidence_suffices(members):
    confidences = [
        float(np.mean(answer.logprobs))
        for answer in generate(members["one"].network(), members["one"].tokenizer, CONVERSATIONS, SHORT)
    ]
    between = sorted(confidences)[1] - 1e-6  # one of three is passed on
    one, other = (alone(model) for model in members.values())
    found = together(Cascade(members=members, threshold=between))
    assert found == [
        a if confidence >= between else b for a, b, confidence in zip(one, other, confidences, strict=True)
    ]
    assert together(Cascade(members=members, threshold=-math.inf)) == one
    assert together(Cascade(members=members, threshold=0.1)) == other


def test_a_threshold_is_the_cheapest_of_the_best(members):
    """By this score one question is answered better by the second member, the others by the first."""
    cascade = Cascade(members=members)
    first, second = (alone(model) for model in members.values())
    confidences = [
        float(np.mean(answer.logprobs))
        for answer in generate(members["one"].network(), members["one"].tokenizer, CONVERSATIONS, SHORT)
    ]
    worst = int(np.argmin(confidences))
    right = [second[n] if n == worst else first[n] for n in range(3)]
    seen = []

    def judge(network: CascadeNetwork) -> float:
        texts = [answer.text for answer in network.write_answers(CONVERSATIONS, SHORT)]
        seen.append(network.threshold)
        return sum(a == b for a, b in zip(texts, right, strict=True)) / 3

    cascade.choose(judge)
    assert sorted(confidences)[0] < cascade.threshold <= sorted(confidences)[1]
    assert len(seen) > 3
    assert "33% of a member's questions are passed on" in cascade.lineage()["note"]


def test_losses_are_those_of_the_first_member(members):
    vote = Vote(members=members)
    text = [TokenSequence(np.arange(5, 20, dtype=np.int32), np.ones(15, np.float32))]
    np.testing.assert_array_equal(log_probs(vote.network(), text)[0], log_probs(members["one"].network(), text)[0])
    assert "Losses are those of one" in vote.lineage()["note"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda members: Vote(members={}), "no members"),
        (lambda members: Vote(members=members, samples=2, temperature=0.0), "cannot differ"),
        (lambda members: Vote(members=members, read="("), "no regular expression"),
        (lambda members: Vote(members=members, weights={"on": 1.0}), "no member 'on'"),
        (lambda members: BestOfN(members=members, reward=len, temperature=0.0), "nothing to choose"),
        (lambda members: Router(members=members, examples={"one": ["a"]}), "other has no examples"),
        (lambda members: Cascade(members={"one": members["one"]}), "a larger one"),
        (lambda members: Cascade(members=members).network(), "has no threshold"),
    ],
)
def test_what_cannot_answer_is_refused(members, make, message):
    with pytest.raises(RecipeError, match=message):
        make(members)


SPLITS = ["data=demo", "data.limit=40", "data.splits.validation=0.3", "data.splits.test=0.3"]
TWO = [
    "+model@model.members.small=tiny",
    "+model@model.members.large=tiny",
    "model.members.large.seed=1",
    "stages=[evaluate]",
    "evaluation.general_examples=0",
]


def test_a_cascade_finds_its_threshold_on_the_validation_split_and_keeps_it(tmp_path, monkeypatch):
    shown = []
    task = ["evaluation/task=generation", "evaluation.task.max_new_tokens=4", "score=chrf", *SPLITS]
    run = twin(tmp_path / "run", "model=cascade", *TWO, *task)
    evaluation = type(run.evaluation)
    measure = evaluation.__call__
    monkeypatch.setattr(
        evaluation, "__call__", lambda self, s, sets, **how: shown.append(list(sets)) or measure(self, s, sets, **how)
    )
    run.carry_out()
    assert shown[:-1] == [["validation"]] * (len(shown) - 1)
    assert len(shown) > 2
    assert run.data.examples("test")
    assert shown[-1] == ["test"]
    loaded = luthier.load(tmp_path / "run")
    assert loaded.network.threshold == run.model.threshold
    assert loaded.generate(CONVERSATIONS, SHORT)
    assert "are passed on to the next" in json.loads((tmp_path / "run" / "record.json").read_text())["model"]["note"]


def test_the_best_by_a_reward_of_another_plugin_is_measured_and_is_a_model_itself(tmp_path):
    recipe = {
        "defaults": [
            {"/model@model.members.one": "tiny"},
            {"/model@model.members.other": "tiny"},
            {"override /model": "best_of_n"},
            {"override /method/reward@model.reward": "regex"},
        ],
        "model": {"members": {"other": {"seed": 1}}, "samples": 2, "reward": {"pattern": "[aeiou]"}},
        "stages": ["evaluate"],
    }
    folder = tmp_path / "recipes" / "recipe"
    folder.mkdir(parents=True)
    (folder / "best.yaml").write_text("# @package _global_\n# Two.\n" + yaml.safe_dump(recipe))
    small = ["batch.length=256", "evaluation.examples=2", "evaluation.general_examples=0", "hydra.run.dir=best"]
    done = command("recipe=best", *small, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    assert luthier.load(tmp_path / "best").generate(CONVERSATIONS[:1], SHORT)
    inside = EarlierRun(path=str(tmp_path / "best"))
    assert generate(inside.network(), inside.tokenizer, CONVERSATIONS[:1], SHORT)[0].ids
    with pytest.raises(RecipeError, match="no loss trains"):
        twin(tmp_path / "trained", "model=vote", TWO[0], "stages=[fit]")
