"""What a teacher said, kept: nearly the same loss without the teacher, by as much as is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from luthier.contracts.examples import Example
from luthier.data import content_hashes as identity
from luthier.data.collate import collate
from luthier.errors import RecipeError, ResourceError
from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.alignment import SameTokens
from luthier_distillation.distill import Distillation
from luthier_distillation.offline_teacher import OfflineTeacher, spread
from luthier_distillation.sequences import FromData
from luthier_distillation.teacher import Live
from luthier_distillation.teacher_cache import Keeper
from tests.command import luthier


def method(student: Random, teacher: Random, kept: Path | None = None) -> Distillation:
    made = Distillation(
        student,
        FullFineTuning(),
        None,
        signal=signals.ForwardKl(),
        sequences=FromData(),
        alignment=SameTokens(),
        teacher=teacher,
        kept=str(kept) if kept else None,
    )
    made.configure_model()
    made.network.eval()
    return made


def keep(folder: Path, teacher: Random, examples: list[Example], top: int) -> dict:
    live = Live({"teacher": teacher}, {})
    encoded = [method(teacher, teacher).encode(example, teacher.tokenizer) for example in examples]
    keeper = Keeper(folder, live, top=top, device=torch.device("cpu"))
    known = identity.hash_of_tokenizer(teacher.tokenizer)
    return keeper([(row.sequences[0], row.sequences[0]) for row in encoded], known, lambda line: None)


def test_what_is_left_out_is_spread_evenly_over_all_others() -> None:
    p = spread(torch.tensor([[2, 0]]), torch.tensor([[0.5, 0.3]]).log(), torch.tensor([0.2]).log(), 6).exp()
    assert torch.allclose(p, torch.tensor([[0.3, 0.05, 0.5, 0.05, 0.05, 0.05]]))


def test_with_all_tokens_kept_it_is_the_live_teacher_and_with_fewer_within_the_bound(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path
) -> None:
    live = method(student, teacher)
    rows = [live.encode(example, student.tokenizer) for example in examples]
    batch = collate([rows[:2], rows[2:]])
    expected = live.loss(batch)
    expected.sum.backward()
    gradient = live.network.lm_head.weight.grad.clone()
    for top in (400, 16):
        facts = keep(tmp_path / str(top), teacher, examples, top)
        cached = method(student, teacher, tmp_path / str(top))
        found = cached.loss(batch)
        found.sum.backward()
        apart = (cached.network.lm_head.weight.grad - gradient).abs().max() / gradient.abs().max()
        assert facts["tokens"] == int(expected.weight)
        if top == 400:
            assert found.sum.item() == pytest.approx(expected.sum.item(), rel=2e-3)
            assert facts["left_out"] < 1e-6
            assert apart < 5e-3
        else:
            assert 0.01 < facts["left_out"] < 1
            assert facts["divergence"] > 0
            assert apart < 2 * facts["most_left_out"]


def test_the_bound_on_the_gradients_holds_for_every_token(teacher: Random) -> None:
    torch.manual_seed(0)
    p, q = (3 * torch.randn(50, 40)).log_softmax(-1), torch.randn(50, 40).log_softmax(-1)
    top = p.topk(8)
    left = 1 - top.values.exp().sum(-1)
    kept = spread(top.indices, top.values, left.log(), 40)
    apart = ((q.exp() - p.exp()) - (q.exp() - kept.exp())).abs().sum(-1)
    assert (apart <= 2 * left + 1e-6).all()


def test_what_is_there_is_not_asked_for_again_and_what_is_damaged_is_found(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luthier_distillation.teacher_cache.PART", 10)
    facts = keep(tmp_path / "kept", teacher, examples, 8)
    parts = sorted((tmp_path / "kept").glob("part-*"))
    assert len(parts) > 2
    cut_off = parts[1]
    cut_off.write_bytes(cut_off.read_bytes()[:-20])
    with pytest.raises(ResourceError, match="part-00001"):
        OfflineTeacher(str(tmp_path / "kept")).check(student.tokenizer)
    before = {part: part.stat().st_mtime_ns for part in parts}
    assert keep(tmp_path / "kept", teacher, examples, 8) == facts
    again = {part for part in parts if part.stat().st_mtime_ns != before[part]}
    assert again == {cut_off}
    OfflineTeacher(str(tmp_path / "kept")).check(student.tokenizer)


def test_other_tokenizers_and_other_data_are_refused(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path
) -> None:
    keep(tmp_path / "kept", teacher, examples[:2], 8)
    with pytest.raises(RecipeError, match="another tokenizer"):
        OfflineTeacher(str(tmp_path / "kept")).check(Random(vocabulary=300).tokenizer)
    cached = method(student, teacher, tmp_path / "kept")
    with pytest.raises(RecipeError, match="was not asked about"):
        cached.loss(collate([[cached.encode(examples[3], student.tokenizer)]]))
    with pytest.raises(RecipeError, match="holds nothing that a teacher said"):
        OfflineTeacher(str(tmp_path)).check(student.tokenizer)


def test_a_student_trains_on_what_was_kept_without_its_teacher(tmp_path: Path) -> None:
    words = ("recipe=distill", "debug=tiny", "method.teacher.seed=3")
    done = luthier("cache-teacher", "kept", *words, "--top", "64", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["bytes_per_token"] < 64 * 4 + 40
    ran = [
        luthier(*words, "score=loss", *more, f"hydra.run.dir={name}", cwd=tmp_path)
        for name, more in (("live", ()), ("cached", ("method.kept=kept",)))
    ]
    assert [one.returncode for one in ran] == [0, 0], [one.stderr for one in ran]
    steps = {
        name: [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("live", "cached")
    }
    assert np.abs(np.subtract(steps["live"], steps["cached"])).max() < max(0.05, 2 * facts["divergence"])
    record = json.loads((tmp_path / "cached/record.json").read_text())
    assert "bytes each" in record["method"]["Teacher"]
    told = luthier(
        "distilled", "live", "--without", "cached", "--answers", "1", "--tokens", "2", "--json", cwd=tmp_path
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert abs(found["change_of_loss"]["value"]) < 0.05
    assert {"parameters", "loss", "teacher agreement", "teacher loss", "weights", "tokens a second"} <= set(
        found["student"]
    )
