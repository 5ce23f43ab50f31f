"""Offline teachers: the loss and gradients of the teacher itself, within the bound that the cache gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.data.content_hashes import hash_of_tokenizer
from luthier.errors import RecipeError, ResourceError
from luthier.models.random import Random
from luthier_distillation.cache_format import part_metadata
from luthier_distillation.offline_teacher import OfflineTeacher, spread_remainder
from luthier_distillation.teacher import TeacherNetworks
from luthier_distillation.teacher_cache import TeacherCacheWriter
from tests.command import luthier
from tests.plugins.distillation.tiny_networks import distillation


def cache(folder: Path, teacher: Random, examples: list[Example], top: int) -> dict:
    networks = TeacherNetworks({"teacher": teacher}, {})
    encoded = [distillation(teacher, teacher).encode(example, teacher.tokenizer) for example in examples]
    writer = TeacherCacheWriter(folder, networks, top=top, device=torch.device("cpu"))
    tokenizer = hash_of_tokenizer(teacher.tokenizer)
    return writer([(row.sequences[0], row.sequences[0]) for row in encoded], tokenizer, lambda line: None)


def test_the_remaining_probability_is_spread_evenly_over_all_other_tokens() -> None:
    p = spread_remainder(torch.tensor([[2, 0]]), torch.tensor([[0.5, 0.3]]).log(), torch.tensor([0.2]).log(), 6).exp()
    assert torch.allclose(p, torch.tensor([[0.3, 0.05, 0.5, 0.05, 0.05, 0.05]]))


def test_with_all_tokens_cached_it_is_the_teacher_and_with_fewer_within_the_bound(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path
) -> None:
    online = distillation(student, teacher)
    rows = [online.encode(example, student.tokenizer) for example in examples]
    batch = collate([rows[:2], rows[2:]])
    expected = online.loss(batch)
    expected.sum.backward()
    gradient = online.network.lm_head.weight.grad.clone()
    for top in (400, 16):
        facts = cache(tmp_path / str(top), teacher, examples, top)
        cached = distillation(student, teacher, offline_teacher=str(tmp_path / str(top)))
        loss = cached.loss(batch)
        loss.sum.backward()
        apart = (cached.network.lm_head.weight.grad - gradient).abs().max() / gradient.abs().max()
        assert facts["tokens"] == int(expected.weight)
        if top == 400:
            assert loss.sum.item() == pytest.approx(expected.sum.item(), rel=2e-3)
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
    remainder = 1 - top.values.exp().sum(-1)
    cached = spread_remainder(top.indices, top.values, remainder.log(), 40)
    apart = ((q.exp() - p.exp()) - (q.exp() - cached.exp())).abs().sum(-1)
    assert (apart <= 2 * remainder + 1e-6).all()


def test_complete_parts_are_not_written_again_and_damaged_ones_are_refused(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luthier_distillation.teacher_cache.PART", 10)
    facts = cache(tmp_path / "cache", teacher, examples, 8)
    parts = sorted((tmp_path / "cache").glob("part-*"))
    assert len(parts) > 2
    cut_off = parts[1]
    cut_off.write_bytes(cut_off.read_bytes()[:-20])
    with pytest.raises(ResourceError, match="part-00001"):
        OfflineTeacher(str(tmp_path / "cache")).check(student.tokenizer)
    before = {part: part.stat().st_mtime_ns for part in parts}
    assert cache(tmp_path / "cache", teacher, examples, 8) == facts
    again = {part for part in parts if part.stat().st_mtime_ns != before[part]}
    assert again == {cut_off}
    OfflineTeacher(str(tmp_path / "cache")).check(student.tokenizer)


def test_a_flipped_bit_is_never_given_a_new_hash_by_writing_the_cache_again(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    facts = cache(tmp_path / "cache", teacher, examples, 8)
    (part,) = (tmp_path / "cache").glob("part-*")
    whole, arrays = part.read_bytes(), load_file(part)
    for at in (20, len(whole) // 2, len(whole) - 1):
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        caplog.clear()
        assert cache(tmp_path / "cache", teacher, examples, 8) == facts
        assert all(np.array_equal(array, arrays[name]) for name, array in load_file(part).items())
        assert part_metadata(part) is not None
        assert "is made again" in caplog.text


@pytest.mark.parametrize("damage", ["digit", "types", "brackets", "cut"])
def test_a_manifest_that_is_not_as_it_was_written_is_no_manifest(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path, damage: str
) -> None:
    cache(tmp_path / "cache", teacher, examples[:2], 8)
    file = tmp_path / "cache" / "teacher.json"
    text = file.read_text()
    file.write_text(
        {
            "digit": text.replace('"top": 8', '"top": 9'),
            "types": '{"tokenizer": [], "sha256": 3}',
            "brackets": "[" * 100_000,
            "cut": text[: len(text) // 2],
        }[damage]
    )
    with pytest.raises(RecipeError, match="no complete teacher cache"):
        OfflineTeacher(str(tmp_path / "cache")).check(student.tokenizer)


def test_other_tokenizers_and_other_data_are_refused(
    student: Random, teacher: Random, examples: list[Example], tmp_path: Path
) -> None:
    cache(tmp_path / "cache", teacher, examples[:2], 8)
    with pytest.raises(RecipeError, match="another tokenizer"):
        OfflineTeacher(str(tmp_path / "cache")).check(Random(vocabulary=300).tokenizer)
    cached = distillation(student, teacher, offline_teacher=str(tmp_path / "cache"))
    with pytest.raises(RecipeError, match="not in the teacher cache"):
        cached.loss(collate([[cached.encode(examples[3], student.tokenizer)]]))
    with pytest.raises(RecipeError, match="no complete teacher cache"):
        OfflineTeacher(str(tmp_path)).check(student.tokenizer)


def test_a_student_trains_with_an_offline_teacher(tmp_path: Path) -> None:
    words = ("recipe=distill", "debug=tiny", "method.teacher.seed=3")
    done = luthier("cache-teacher", "cache", *words, "--top", "64", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["bytes_per_token"] < 64 * 4 + 40
    ran = [
        luthier(*words, "score=loss", *more, f"hydra.run.dir={name}", cwd=tmp_path)
        for name, more in (("online", ()), ("offline", ("method.offline_teacher=cache",)))
    ]
    assert [one.returncode for one in ran] == [0, 0], [one.stderr for one in ran]
    steps = {
        name: [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("online", "offline")
    }
    assert np.abs(np.subtract(steps["online"], steps["offline"])).max() < max(0.05, 2 * facts["divergence"])
    record = json.loads((tmp_path / "offline/record.json").read_text())
    assert "bytes each" in record["method"]["Teacher"]
    compared = luthier(
        "distilled", "online", "--without", "offline", "--answers", "1", "--tokens", "2", "--json", cwd=tmp_path
    )
    assert compared.returncode == 0, compared.stderr
    columns = json.loads(compared.stdout)
    assert abs(columns["change_of_loss"]["value"]) < 0.05
    assert {"parameters", "loss", "teacher agreement", "teacher loss", "weights", "tokens a second"} <= set(
        columns["student"]
    )
