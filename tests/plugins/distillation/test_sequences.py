"""The sequences that are trained on: the data's, the teacher's answers that pass, the student's own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from luthier.contracts.batch import Batch
from luthier.contracts.examples import Example
from luthier.contracts.sampling import Answer
from luthier.data.collate import collate
from luthier.data.prompts import ChatPrompt
from luthier.data.shared_prefixes import token_sequences
from luthier.errors import RecipeError
from luthier.models.random import Random
from luthier_distillation.distill import Distillation
from luthier_distillation.sequence_level import FromTeacher
from luthier_distillation.sequences import FromData, FromStudent, Mixed, NoSequence, SequenceSource
from tests.command import luthier
from tests.plugins.distillation.tiny_networks import distillation, unconfigured


def in_training(student: Random, teacher: Random, sequences: SequenceSource, examples: list[Example]) -> Distillation:
    method = distillation(student, teacher, sequences=sequences)
    method.network.train()
    data = SimpleNamespace(examples=lambda split: examples, prompt=ChatPrompt(), seed=3)
    method._trainer = SimpleNamespace(datamodule=data)  # type: ignore[assignment]
    return method


def batch(method: Distillation, examples: list[Example]) -> Batch:
    return collate([[method.encode(example, method.model.tokenizer) for example in examples]])


def test_the_student_answers_its_share_anew_in_each_step_and_the_same_way_again(
    student: Random, teacher: Random, examples: list[Example]
) -> None:
    method = in_training(student, teacher, FromStudent(share=0.5, max_new_tokens=6), examples)
    data_batch = batch(method, examples)
    assert method.preparation is not None
    written = [token_sequences(method.preparation([data_batch], step)[0]) for step in (0, 0, 1)]
    texts = [[each.ids.tolist() for each in one] for one in written]
    assert texts[0] == texts[1] != texts[2]
    own = [
        each.ids.tolist() != kept.ids.tolist()
        for each, kept in zip(written[0], token_sequences(data_batch), strict=True)
    ]
    assert 0 < sum(own) < len(own)
    for each, kept, is_own in zip(written[0], token_sequences(data_batch), own, strict=True):
        begins = int(np.flatnonzero(kept.weights)[0])
        assert (each.ids[:begins] == kept.ids[:begins]).all()
        assert not each.weights[:begins].any()
        assert not is_own or 1 <= each.weights[begins:].sum() <= 6
    assert method.loss(method.preparation([data_batch], 0)[0]).weight > 0


def test_the_teachers_answer_is_greedy_and_the_same_in_every_step(
    student: Random, teacher: Random, examples: list[Example]
) -> None:
    method = in_training(student, teacher, FromTeacher(max_new_tokens=5, finished=False), examples)
    assert method.preparation is not None
    (first,), (again,) = (method.preparation([batch(method, examples)], step) for step in (0, 7))
    assert torch.equal(first.input_ids, again.input_ids)
    network = teacher.network().eval()
    for each in token_sequences(first):
        begins = int(np.flatnonzero(each.weights)[0])
        ids = torch.from_numpy(each.ids[:begins]).long()[None]
        likeliest = network(input_ids=ids).logits[0, -1].argmax()
        assert each.ids[begins] == likeliest


def test_plain_texts_and_prompts_without_answers_are_continued(student: Random, teacher: Random) -> None:
    examples: list[Example] = [
        {"text": "one two three four five six seven eight nine ten"},
        {"messages": [{"role": "user", "content": "And now?"}]},
    ]
    method = in_training(student, teacher, FromStudent(share=1.0, max_new_tokens=3, text_prompt=4), examples)
    data_batch = batch(method, examples)
    text, prompt = token_sequences(method.preparation([data_batch], 0)[0])  # type: ignore[misc]
    whole, asked = token_sequences(data_batch)
    assert (text.ids[:4] == whole.ids[:4]).all()
    assert text.weights.tolist() == [0] * 4 + [1] * (len(text) - 4)
    assert len(prompt) > len(asked)
    assert not prompt.weights[: len(asked)].any()


def answer(text: str, finish: str = "stop", logprob: float = -1.0) -> Answer:
    return Answer([1] * len(text.split()), text, [logprob], finish=finish)  # type: ignore[arg-type]


def test_of_the_answers_that_pass_the_best_is_taken_and_the_reasons_are_counted() -> None:
    chosen = FromTeacher(
        reward=lambda prompt, answers, example: [float(len(each)) for each in answers], least_reward=6, longest=3,
        candidates=2, temperature=1.0, unique=True,
    )  # fmt: skip
    example: Example = {"messages": [{"role": "user", "content": "?"}]}
    found = chosen.choose("0", example, [answer("one two"), answer("one three")])
    assert isinstance(found, Answer)
    assert found.text == "one three"
    wrong = [answer("one three"), answer("a b c d"), answer("", logprob=0), answer("x y", "length"), answer("tiny")]
    assert isinstance(chosen.choose("1", example, wrong), NoSequence)
    assert chosen.facts()["Teacher's answers"] == (
        "2 passed, 1 unfinished, 1 too short, 1 too long, 1 duplicate, 1 reward too low; "
        "1 of 2 prompts have none and were left out"
    )
    likeliest = FromTeacher(candidates=2, temperature=1.0).choose(
        "0", example, [answer("a"), answer("b", logprob=-0.5)]
    )
    assert isinstance(likeliest, Answer)
    assert likeliest.text == "b"


def test_a_mixture_gives_each_its_share_of_the_prompts(student: Random, teacher: Random) -> None:
    examples: list[Example] = [
        {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "Yes indeed."}]}
        for number in range(60)
    ]
    mixture = Mixed(
        sequences={"data": FromData(), "own": FromStudent(share=1.0, max_new_tokens=1)}, shares={"data": 3.0}
    )
    method = in_training(student, teacher, mixture, examples)
    data_batch = batch(method, examples)
    written = token_sequences(method.preparation([data_batch], 0)[0])  # type: ignore[misc]
    own = sum(each.weights.sum() == 1 for each in written)
    assert 6 <= own <= 26
    with pytest.raises(RecipeError, match="There is no source 'missing'"):
        Mixed(sequences={"data": FromData()}, shares={"missing": 1.0})


def test_an_offline_teacher_has_no_distributions_for_generated_sequences(student: Random, teacher: Random) -> None:
    with pytest.raises(RecipeError, match="generated in training"):
        unconfigured(student, teacher, sequences=FromStudent(), offline_teacher="somewhere")


def test_a_run_learns_on_answers_of_student_and_teacher(tmp_path: Path) -> None:
    (tmp_path / "recipes/recipe").mkdir(parents=True)
    (tmp_path / "recipes/recipe/both.yaml").write_text(
        """# @package _global_
# Student and teacher generate.   luthier recipe=both
defaults:
  - /method/sequences@method.sequences.sequences.own: student
  - /method/sequences@method.sequences.sequences.theirs: teacher
  - override /method: distill
  - override /method/sequences: mixed
method: {sequences: {sequences: {own: {max_new_tokens: 4, share: 1.0}, theirs: {max_new_tokens: 4, finished: false}}}}
"""
    )
    done = luthier("recipe=both", "debug=tiny", "method.teacher.seed=7", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert "passed" in record["method"]["Teacher's answers"]
    assert "ran out of tokens" in record["method"]["Student's own answers"]
