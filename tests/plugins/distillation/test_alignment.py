"""Teachers with another vocabulary or another prompt: which positions are compared, over which tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.errors import DataError, RecipeError
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.alignment import ByteSpans, InOrder, SameTokens
from luthier_distillation.byte_alignment import aligned_tokens
from luthier_distillation.student_teacher_inputs import TEACHER_MESSAGES
from luthier_distillation.token_bytes import end_tokens, token_bytes
from tests.command import luthier
from tests.plugins.distillation.tiny_networks import SIZE, distillation, unconfigured


@pytest.fixture
def other() -> Random:
    return Random(config=SIZE, vocabulary=300, seed=1)


def test_tokens_are_paired_where_they_begin_at_the_same_byte() -> None:
    ours = [(b"It", False), (b" is", False), (b" map", False), (b"le", False), (b"", True)]
    theirs = [(b"It i", False), (b"s", False), (b" ", False), (b"map", False), (b"le", False), (b"", True)]
    assert aligned_tokens(ours, theirs) == [(0, 0), (2, 2), (3, 4), (4, 5)]
    assert aligned_tokens(ours, [(b" It", False), *theirs[1:]][:1]) == [(0, 0)]
    assert aligned_tokens(ours, [(b"No", False)]) == []


def test_the_bytes_of_the_tokens_of_a_text_are_its_bytes(student: Random, other: Random) -> None:
    for tokenizer in (student.tokenizer, other.tokenizer):
        text = "It is maple, naïve and 木 \n as it should be."
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert b"".join(token_bytes(tokenizer)[number] for number in ids) == text.encode()


def test_universal_distance_is_its_formula_by_hand() -> None:
    p, q = np.array([0.5, 0.1, 0.4]), np.array([0.25, 0.15, 0.25, 0.35])
    distributions = signals.TokenDistributions(
        torch.tensor(np.log(q))[None], lambda _: torch.tensor(np.log(p))[None], torch.tensor([0])
    )
    distance = float(signals.Universal()(distributions)[0])
    assert distance == pytest.approx(abs(0.5 - 0.35) + abs(0.4 - 0.25) + abs(0.1 - 0.25) + 0.15)


def test_by_bytes_the_shared_tokens_are_compared_and_all_others_are_one(
    teacher: Random, other: Random, examples: list[Example]
) -> None:
    method = distillation(other, teacher, alignment=ByteSpans())
    row = method.encode(examples[4], other.tokenizer)
    loss = method.loss(collate([[row]]))
    bytes_of = [token_bytes(model.tokenizer) for model in (other, teacher)]
    shared = [
        (bytes_of[0].index(token), number)
        for number, token in enumerate(bytes_of[1])
        if token in set(bytes_of[0]) - {b""}
    ]
    shared += zip(*map(end_tokens, (other.tokenizer, teacher.tokenizer)), strict=True)
    student_ids, teacher_ids = zip(*shared, strict=True)
    total, count = 0.0, 0
    with torch.no_grad():
        q, p = (
            network(input_ids=torch.from_numpy(each.ids).long()[None]).logits[0].softmax(-1)
            for network, each in zip((method.network, teacher.network().eval()), row.sequences, strict=True)
        )
    spans = [np.flatnonzero(sequence.weights) for sequence in row.sequences]
    answers = [
        [(known[sequence.ids[place]], place == span[-1]) for place in span]
        for known, sequence, span in zip(bytes_of, row.sequences, spans, strict=True)
    ]
    for first, second in aligned_tokens(*answers):
        a, b = q[spans[0][first] - 1][list(student_ids)], p[spans[1][second] - 1][list(teacher_ids)]
        a, b = (torch.cat([probs, 1 - probs.sum(0, keepdim=True)]) for probs in (a, b))
        total, count = total + float((b * (b / a).log()).sum()), count + 1
    assert 3 < count < int(row.sequences[0].weights.sum())
    assert loss.weight.item() == count
    assert loss.sum.item() == pytest.approx(total, rel=1e-3)


def test_in_order_the_first_token_goes_with_the_first(student: Random, other: Random, examples: list[Example]) -> None:
    method = distillation(student, other, alignment=InOrder(), signal=signals.Universal())
    rows = [method.encode(example, student.tokenizer) for example in examples]
    batch = collate([rows[:2], rows[2:]])
    loss = method.loss(batch)
    loss.sum.backward()
    shorter = sum(min(int((each.weights > 0).sum()) for each in row.sequences) for row in rows)
    assert loss.weight.item() == shorter
    assert method.network.lm_head.weight.grad.abs().sum() > 0
    assert set(method.measured(rows)) == {"loss", "teacher_distance"}


def test_other_vocabularies_are_refused_unless_the_alignment_allows_them(
    student: Random, other: Random, teacher: Random
) -> None:
    with pytest.raises(RecipeError, match="different vocabularies"):
        distillation(student, other, alignment=SameTokens(), signal=signals.Universal())
    with pytest.raises(RecipeError, match="by their order alone"):
        distillation(student, other, alignment=InOrder())
    two = unconfigured(student, other, alignment=ByteSpans(), teachers={"more": teacher})
    with pytest.raises(RecipeError, match="cannot be mixed"):
        two.check()


def test_a_teacher_with_a_prompt_of_its_own_is_compared_on_the_same_answer(
    student: Random, teacher: Random, examples: list[Example]
) -> None:
    method = distillation(student, teacher)
    system = {"role": "system", "content": "You know woods."}
    prompted = [{**each, TEACHER_MESSAGES: [system, *each["messages"]]} for each in examples]
    rows = [method.encode(example, student.tokenizer) for example in prompted]
    loss = method.loss(collate([rows[:2], rows[2:]]))
    expected, network = 0.0, teacher.network().eval()
    for row in rows:
        q, p = (
            net(input_ids=torch.from_numpy(each.ids).long()[None]).logits[0, :-1][each.weights[1:] > 0].log_softmax(-1)
            for net, each in zip((method.network, network), row.sequences, strict=True)
        )
        expected += float((p.exp() * (p - q)).sum().detach())
    assert loss.sum.item() == pytest.approx(expected, rel=1e-4)
    plain = [method.encode(example, student.tokenizer) for example in examples]
    assert method.loss(collate([plain])).sum.item() != pytest.approx(expected, rel=1e-3)
    torn = Row((rows[0].sequences[0], rows[1].sequences[1]))
    with pytest.raises(DataError, match="not the same tokens"):
        method.loss(collate([[torn]]))


def test_a_run_learns_from_a_teacher_with_another_vocabulary_on_on_policy_sequences(tmp_path: Path) -> None:
    done = luthier(
        "method=distill", "debug=tiny", "method/alignment=byte_spans", "model.vocabulary=300",
        "method/sequences=student", "method.sequences.max_new_tokens=4", "hydra.run.dir=run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert "no distribution for the others" in record["method"]["Tokens compared"]
    assert "ran out of tokens" in record["method"]["Student's own answers"]
    assert {"teacher_agreement", "teacher_distance"} <= {each["name"] for each in record["comparisons"]}


def test_the_student_answers_each_turn_of_conversations_whose_turns_are_apart(tmp_path: Path) -> None:
    from tests.framework.data_tokens.real_templates import FOLDER, assistant, user

    rows = [
        {"messages": [turn for at in "ab" for turn in (user(f"{row}{at}?"), assistant(f"{row}{at}.", thinking="Hm."))]}
        for row in range(8)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = luthier(
        "method=distill", "debug=tiny", "method/alignment=byte_spans", "model.vocabulary=300", "data=jsonl",
        "data.file=mine.jsonl", "data/format=messages", "data.splits.test=0",
        f"model.chat_template={FOLDER}/qwen3.jinja",
        "method/sequences=student", "method.sequences.max_new_tokens=4", "batch.length=512", "trainer.max_steps=2",
        "stages=[fit]", "hydra.run.dir=run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (source,) = json.loads((tmp_path / "run/record.json").read_text())["data"]
    assert (source["counts"]["turns_apart"], source["counts"]["rows"]) == (8, 16)
