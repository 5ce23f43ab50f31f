"""Teachers with other tokens, or that read something else: what is compared with what."""

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
from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.alignment import Alignment, ByteSpans, InOrder, SameTokens
from luthier_distillation.byte_alignment import pairs
from luthier_distillation.distill import Distillation
from luthier_distillation.sequences import FromData
from luthier_distillation.student_teacher_inputs import SHOWN
from luthier_distillation.token_bytes import ends, spelling
from tests.command import luthier
from tests.plugins.distillation.tiny_networks import SIZE


def method(student: Random, teacher: Random, alignment: Alignment, signal: signals.Signal) -> Distillation:
    made = Distillation(
        student, FullFineTuning(), None, signal=signal, sequences=FromData(), alignment=alignment, teacher=teacher
    )  # fmt: skip
    made.configure_model()
    made.network.eval()
    return made


@pytest.fixture
def other() -> Random:
    return Random(config=SIZE, vocabulary=300, seed=1)


def test_tokens_are_paired_where_they_begin_at_the_same_byte() -> None:
    ours = [(b"It", False), (b" is", False), (b" map", False), (b"le", False), (b"", True)]
    theirs = [(b"It i", False), (b"s", False), (b" ", False), (b"map", False), (b"le", False), (b"", True)]
    assert pairs(ours, theirs) == [(0, 0), (2, 2), (3, 4), (4, 5)]
    assert pairs(ours, [(b" It", False), *theirs[1:]][:1]) == [(0, 0)]
    assert pairs(ours, [(b"No", False)]) == []


def test_a_vocabulary_spells_its_texts(student: Random, other: Random) -> None:
    for tokenizer in (student.tokenizer, other.tokenizer):
        text = "It is maple, naïve and 木 \n as it should be."
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert b"".join(spelling(tokenizer)[number] for number in ids) == text.encode()


def test_universal_distance_is_its_formula_by_hand() -> None:
    p, q = np.array([0.5, 0.1, 0.4]), np.array([0.25, 0.15, 0.25, 0.35])
    seen = signals.Seen(torch.tensor(np.log(q))[None], lambda _: torch.tensor(np.log(p))[None], torch.tensor([0]))
    found = float(signals.Universal()(seen)[0])
    assert found == pytest.approx(abs(0.5 - 0.35) + abs(0.4 - 0.25) + abs(0.1 - 0.25) + 0.15)


def test_by_bytes_the_shared_tokens_are_compared_and_all_others_are_one(
    teacher: Random, other: Random, examples: list[Example]
) -> None:
    found = method(other, teacher, ByteSpans(), signals.ForwardKl())
    row = found.encode(examples[4], other.tokenizer)
    loss = found.loss(collate([[row]]))
    spelled = [spelling(each.tokenizer) for each in (other, teacher)]
    shared = [
        (spelled[0].index(each), number) for number, each in enumerate(spelled[1]) if each in set(spelled[0]) - {b""}
    ]
    shared += zip(*map(ends, (other.tokenizer, teacher.tokenizer)), strict=True)
    ours, theirs = zip(*shared, strict=True)
    total, count = 0.0, 0
    with torch.no_grad():
        q, p = (
            network(input_ids=torch.from_numpy(each.ids).long()[None]).logits[0].softmax(-1)
            for network, each in zip((found.network, teacher.network().eval()), row.sequences, strict=True)
        )
    runs = [np.flatnonzero(each.weights) for each in row.sequences]
    said = [
        [(known[each.ids[place]], place == run[-1]) for place in run]
        for known, each, run in zip(spelled, row.sequences, runs, strict=True)
    ]
    for mine, their in pairs(*said):
        a, b = q[runs[0][mine] - 1][list(ours)], p[runs[1][their] - 1][list(theirs)]
        a, b = (torch.cat([each, 1 - each.sum(0, keepdim=True)]) for each in (a, b))
        total, count = total + float((b * (b / a).log()).sum()), count + 1
    assert 3 < count < int(row.sequences[0].weights.sum())
    assert loss.weight.item() == count
    assert loss.sum.item() == pytest.approx(total, rel=1e-3)


def test_in_order_the_first_token_goes_with_the_first(student: Random, other: Random, examples: list[Example]) -> None:
    found = method(student, other, InOrder(), signals.Universal())
    rows = [found.encode(example, student.tokenizer) for example in examples]
    batch = collate([rows[:2], rows[2:]])
    loss = found.loss(batch)
    loss.sum.backward()
    shorter = sum(min(int((each.weights > 0).sum()) for each in row.sequences) for row in rows)
    assert loss.weight.item() == shorter
    assert found.network.lm_head.weight.grad.abs().sum() > 0
    assert set(found.measured(rows)) == {"loss", "teacher_distance"}


def test_other_vocabularies_are_refused_where_nobody_asked_for_them(
    student: Random, other: Random, teacher: Random
) -> None:
    with pytest.raises(RecipeError, match="different vocabularies"):
        method(student, other, SameTokens(), signals.Universal())
    with pytest.raises(RecipeError, match="only counted"):
        method(student, other, InOrder(), signals.ForwardKl())
    two = Distillation(
        student, FullFineTuning(), None, signal=signals.ForwardKl(), sequences=FromData(), alignment=ByteSpans(),
        teacher=other, teachers={"more": teacher},
    )  # fmt: skip
    with pytest.raises(RecipeError, match="cannot be mixed"):
        two.check()


def test_a_teacher_that_is_shown_more_is_asked_about_the_same_answer(
    student: Random, teacher: Random, examples: list[Example]
) -> None:
    found = method(student, teacher, SameTokens(), signals.ForwardKl())
    system = {"role": "system", "content": "You know woods."}
    told = [{**each, SHOWN: [system, *each["messages"]]} for each in examples]
    rows = [found.encode(example, student.tokenizer) for example in told]
    loss = found.loss(collate([rows[:2], rows[2:]]))
    expected, network = 0.0, teacher.network().eval()
    for row in rows:
        q, p = (
            net(input_ids=torch.from_numpy(each.ids).long()[None]).logits[0, :-1][each.weights[1:] > 0].log_softmax(-1)
            for net, each in zip((found.network, network), row.sequences, strict=True)
        )
        expected += float((p.exp() * (p - q)).sum().detach())
    assert loss.sum.item() == pytest.approx(expected, rel=1e-4)
    plain = [found.encode(example, student.tokenizer) for example in examples]
    assert found.loss(collate([plain])).sum.item() != pytest.approx(expected, rel=1e-3)
    torn = Row((rows[0].sequences[0], rows[1].sequences[1]))
    with pytest.raises(DataError, match="not the same tokens"):
        found.loss(collate([[torn]]))


def test_a_run_learns_from_a_teacher_with_other_tokens_on_its_own_answers(tmp_path: Path) -> None:
    done = luthier(
        "method=distill", "debug=tiny", "method/alignment=byte_spans", "model.vocabulary=300",
        "method/sequences=student", "method.sequences.max_new_tokens=4", "hydra.run.dir=run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert "says nothing" in record["method"]["Tokens compared"]
    assert "ran out of tokens" in record["method"]["Student's own answers"]
    assert {"teacher_agreement", "teacher_distance"} <= {each["name"] for each in record["comparisons"]}
