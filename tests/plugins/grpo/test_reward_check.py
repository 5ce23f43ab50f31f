"""The findings for rewards that can be hacked."""

from __future__ import annotations

import pytest

from luthier.errors import DataError
from luthier.evaluation.metrics.rouge_l import RougeL
from luthier_reward.reward_check import KINDS, check_reward
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


class Local:
    """A reward that is computed in this process, which starts no other."""

    in_process = True

    def __init__(self, reward):
        self.reward = reward

    def __call__(self, prompt, answers, example):
        return self.reward(prompt, answers, example)


def report(reward):
    return check_reward(RewardRunner(Local(reward), retries=0, max_faults=1.0), SUMS)


def test_a_strict_reward_pays_for_right_answers_alone():
    found = report(ExactMatch())
    assert found.gameable == []
    assert found.sentences() == ["No kind of wrong answer earns much of what a right answer does."]
    assert [finding.kind for finding in found.findings] == list(KINDS)


def test_a_reward_that_reads_the_last_number_does_not_mind_length():
    found = report(Number())
    means = {finding.kind: finding.mean for finding in found.findings}
    assert (means["golden"], means["another's"], means["empty"], means["form only"]) == (1, 0, 0, 0)
    assert found.gameable == []
    assert any("Length is not penalised" in sentence for sentence in found.sentences())


def test_a_reward_for_form_alone_teaches_nothing():
    assert "earn no more than those to other prompts" in report(Regex(pattern=r"####")).sentences()[0]


def _mentioned(prompt, answers, example):
    wanted = example["messages"][-1]["content"].split()[-1]
    return [float(wanted in answer.replace(",", " ").split()) for answer in answers]


def test_a_reward_that_any_text_comes_near_to_is_found_out():
    found = report(_mentioned)
    assert "all at once" in found.gameable
    assert any(sentence.startswith("all at once: all right answers") for sentence in found.sentences())


def test_similarity_is_paid_for_in_part():
    means = {finding.kind: finding.mean for finding in report(Similarity(metric=RougeL())).findings}
    assert means["golden"] == 1
    assert 0 < means["another's"] < 1


def test_faults_are_counted_and_no_answer_that_is_right_is_said_so():
    found = report(lambda prompt, answers, example: [None] * len(answers))
    assert all(finding.faults == len(SUMS) for finding in found.findings)
    assert "no score for any right answer" in found.sentences()[0]
    with pytest.raises(DataError, match="No example has a right answer"):
        check_reward(RewardRunner(Local(ExactMatch())), [{"messages": SUMS[0]["messages"][:1]}])
