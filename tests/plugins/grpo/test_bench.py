"""What is said of rewards that pay for the wrong thing."""

from __future__ import annotations

import pytest

from luthier.errors import DataError
from luthier.evaluation.metrics.rouge_l import RougeL
from luthier_reward.reward_check import KINDS, check
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.rewards.exact_match import ExactMatch
from luthier_reward.rewards.number import Number
from luthier_reward.rewards.regex import Regex
from luthier_reward.rewards.similarity import Similarity

SUMS = [
    {"messages": [{"role": "user", "content": f"What is {n} and {n}?"},
                  {"role": "assistant", "content": f"It comes to {2 * n}. #### {2 * n}"}]}
    for n in (3, 14, 27)
]  # fmt: skip


class Here:
    """A reward that is asked in this process, which costs no start."""

    in_process = True

    def __init__(self, reward):
        self.reward = reward

    def __call__(self, prompt, answers, example):
        return self.reward(prompt, answers, example)


def report(reward):
    return check(RewardRunner(Here(reward), retries=0, most=1.0), SUMS)


def test_a_strict_reward_pays_for_right_answers_alone():
    found = report(ExactMatch())
    assert found.gameable == []
    assert found.sentences() == ["Nothing that was tried earns much without being right."]
    assert [each.kind for each in found.findings] == list(KINDS)


def test_a_reward_that_reads_the_last_number_does_not_mind_length():
    found = report(Number())
    means = {each.kind: each.mean for each in found.findings}
    assert (means["golden"], means["another's"], means["empty"], means["form only"]) == (1, 0, 0, 0)
    assert found.gameable == []
    assert any("Length costs nothing" in sentence for sentence in found.sentences())


def test_a_reward_for_form_alone_teaches_nothing():
    assert "earn no more than those to other prompts" in report(Regex(pattern=r"####")).sentences()[0]


def _mentioned(prompt, answers, example):
    wanted = example["messages"][-1]["content"].split()[-1]
    return [float(wanted in answer.replace(",", " ").split()) for answer in answers]


def test_a_reward_that_any_text_comes_near_to_is_found_out():
    found = report(_mentioned)
    assert "all at once" in found.gameable
    assert any(sentence.startswith("all at once: every right answer") for sentence in found.sentences())


def test_similarity_is_paid_for_in_part():
    means = {each.kind: each.mean for each in report(Similarity(metric=RougeL())).findings}
    assert means["golden"] == 1
    assert 0 < means["another's"] < 1


def test_faults_are_counted_and_no_answer_that_is_right_is_said_so():
    found = report(lambda prompt, answers, example: [None] * len(answers))
    assert all(each.faults == len(SUMS) for each in found.findings)
    assert "no score for any right answer" in found.sentences()[0]
    with pytest.raises(DataError, match="No example says what a right answer is"):
        check(RewardRunner(Here(ExactMatch())), [{"messages": SUMS[0]["messages"][:1]}])
