"""Continued pre-training of encoders: masks, the loss of transformers, artifacts, and what is built on them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luthier
from luthier.data.collate import collate
from luthier.data.overlong import split_row
from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_heads.masking import HELD_OUT, chosen, drawn, masked
from luthier_heads.mlm import MaskedLanguageModeling, Units
from tests.command import luthier as command

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
ARCHITECTURES = {
    "bert": SMALL, "roberta": SMALL, "modernbert": SMALL, "electra": SMALL | {"embedding_size": 16},
    "deberta-v2": SMALL, "convbert": SMALL, "distilbert": {"n_layers": 2, "dim": 32, "hidden_dim": 48, "n_heads": 4},
}  # fmt: skip
TEXTS = [f"The soundpost of instrument {n} stands behind the treble foot of the bridge." for n in range(7)]
WORDS = np.array([-1, 0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 7, 8, 9, -1], dtype=np.int32)


def method_of(architecture: str, **settings: Any) -> MaskedLanguageModeling:
    model = Random(architecture=architecture, config=ARCHITECTURES[architecture], vocabulary=300)
    method = MaskedLanguageModeling(model, FullFineTuning(), lambda *_: None, **settings)
    method.configure_model()
    return method.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_transformers_for_texts_one_by_one(architecture: str) -> None:
    method = method_of(architecture)
    rows = [method.encode({"text": text}, method.model.tokenizer) for text in TEXTS]
    batch = method.masked(collate([rows[:4], rows[4:]]), 3)
    ours = method.loss(batch)
    (ours.sum / ours.weight).backward()
    named = dict(method.network.named_parameters())
    gradients = {name: weight.grad.clone() for name, weight in named.items() if weight.grad is not None}
    method.network.zero_grad()
    ids, targets, total = batch.input_ids.flatten(), batch.extras["targets"].flatten(), 0.0
    for number in batch.sequence_numbers:
        span = slice(batch.boundaries[number], batch.boundaries[number + 1])
        labels = torch.where(targets[span] < 0, -100, targets[span])
        loss = method.network(input_ids=ids[span][None], labels=labels[None]).loss * int((labels >= 0).sum())
        (loss / ours.weight).backward()
        total += float(loss.detach())
    assert int(ours.weight) == int((targets >= 0).sum())
    assert float(ours.sum.detach() / ours.weight) == pytest.approx(total / int(ours.weight), abs=1e-5)
    for name, weight in named.items():
        if weight.grad is not None:
            torch.testing.assert_close(gradients[name], weight.grad, atol=2e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("units", ["tokens", "whole_words", "spans"])
def test_masks_take_about_the_share_and_keep_words_together(units: Units) -> None:
    sizes, words = [], np.tile(WORDS, 5)
    words[words >= 0] += np.repeat(np.arange(5) * 10, 14)
    for step in range(200):
        found = chosen(words, 0.15, units, np.random.default_rng(step))
        places = np.concatenate(found)
        assert len(set(places.tolist())) == len(places)
        assert (words[places] >= 0).all()
        sizes.append(len(places))
        if units != "tokens":
            for word in np.unique(words[places]):
                assert set(np.flatnonzero(words == word)) <= set(places.tolist())
        if units == "spans":
            assert all(
                (np.diff(np.unique(words[unit])) >= 1).all() and len(np.unique(words[unit])) <= 10 for unit in found
            )
    assert np.mean(sizes) == pytest.approx(round(0.15 * 70), abs=0 if units == "tokens" else 1.5)
    assert max(sizes) <= round(0.15 * 70) + (0 if units == "tokens" else 20)


def test_of_the_chosen_80_percent_are_masked_10_replaced_and_10_left() -> None:
    ids, vocabulary = np.arange(100, 116, dtype=np.int32), np.arange(3, 90, dtype=np.int32)
    fates = Counter[str]()
    for step in range(3000):
        shown, targets = masked(
            ids, WORDS, share=0.15, units="tokens", mask=1, vocabulary=vocabulary, random=np.random.default_rng(step)
        )
        at = np.flatnonzero(targets >= 0)
        assert (targets[at] == ids[at]).all()
        assert (shown[targets < 0] == ids[targets < 0]).all()
        for place in at:
            fates["mask" if shown[place] == 1 else "left" if shown[place] == ids[place] else "replaced"] += 1
            assert shown[place] in {1, ids[place], *vocabulary}
    total = sum(fates.values())
    assert total == 3000 * 2
    assert [fates[name] / total for name in ("mask", "replaced", "left")] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_masks_follow_from_seed_step_and_text_alone() -> None:
    method = method_of("bert")
    rows = [method.encode({"text": text}, method.model.tokenizer) for text in TEXTS]
    together, alone = method.masked(collate([rows]), 5), method.masked(collate([[rows[2]]]), 5)
    number = together.sequence_numbers[2]
    span = slice(together.boundaries[number], together.boundaries[number + 1])
    assert torch.equal(together.input_ids.flatten()[span], alone.input_ids[0])
    other = method.masked(collate([[rows[2]]]), 6)
    assert not torch.equal(alone.extras["targets"], other.extras["targets"])
    ids = rows[0].sequences[0].ids
    assert drawn(0, HELD_OUT, ids).random() == drawn(0, HELD_OUT, ids).random() != drawn(1, HELD_OUT, ids).random()


def test_held_out_text_has_the_same_masks_each_time_and_long_text_is_read_in_windows() -> None:
    method = method_of("bert")
    rows = [method.encode({"text": text}, method.model.tokenizer) for text in [*TEXTS, " ".join(TEXTS * 9)]]
    first, again = method.measured(rows), method.measured(rows[::-1])
    for name in first:
        np.testing.assert_allclose(first[name], again[name][::-1], rtol=1e-5)
    assert float(method.measures["masked_perplexity"].reduce(first["loss"].sum(0))) == pytest.approx(
        float(np.exp(first["loss"][:, 0].sum() / first["loss"][:, 1].sum()))
    )
    loss = method.loss(collate([rows[:7]]))
    assert float(loss.sum.detach()) == pytest.approx(first["loss"][:7, 0].sum(), rel=1e-5)
    pieces = split_row(rows[-1], 64)
    assert sum(int((one.sequences[0].labels >= 0).sum()) for one in pieces) == len(rows[-1]) - 2


def run(tmp_path: Path, *words: str, folder: str = "run", fails: bool = False) -> str:
    file = tmp_path / "data.jsonl"
    lines = [{"text": text.replace("stands", word)} for word in ("stands", "sits", "leans") for text in TEXTS]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = command(
        "method=mlm", "model=tiny_encoder", "data=jsonl", f"data.file={file}", "data.splits.test=0.3",
        "trainer.precision=fp32", "batch.length=64", *words, f"hydra.run.dir={tmp_path / folder}",
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


@pytest.mark.parametrize("adaptation", ["full", pytest.param("lora", marks=pytest.mark.exhaustive)])
def test_what_was_trained_fills_masks_in_plain_transformers_and_classifies_afterwards(
    adaptation: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForMaskedLM

    out = run(tmp_path, f"adaptation={adaptation}", "trainer.epochs=4", "optimizer.lr=0.005", "batch.size=1",
              "score=masked_perplexity", "method.units=whole_words")  # fmt: skip
    assert "masked perplexity" in out
    after = {c["name"]: c for c in json.loads((tmp_path / "run" / "record.json").read_text())["comparisons"]}
    assert after["masked_perplexity"]["after"]["value"] < after["masked_perplexity"]["before"]["value"]
    model = luthier.load(tmp_path / "run")
    assert "fill-mask" in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    if adaptation == "full":
        plain: Any = AutoModelForMaskedLM.from_pretrained(tmp_path / "run" / "artifact").eval()
        ids = model.tokenizer(f"The {model.tokenizer.mask_token} stands.", return_tensors="pt").input_ids
        torch.testing.assert_close(plain(ids).logits, model.network(ids).logits, atol=1e-4, rtol=1e-4)
    trunk = model.merged().bert.embeddings.word_embeddings.weight.detach().clone()
    done = command(
        "method=classify", "data=tiny", "model=run", f"model.path={tmp_path / 'run'}", "optimizer.lr=1e-12",
        "trainer.max_steps=1", "trainer.precision=fp32", "batch.length=256", f"hydra.run.dir={tmp_path / 'classified'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built: Any = luthier.load(tmp_path / "classified").network
    assert type(built).__name__ == "BertForSequenceClassification"
    torch.testing.assert_close(built.bert.embeddings.word_embeddings.weight, trunk, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model=tiny",), "llama is no encoder"),
        (("method.share=1.5",), "share is 1.5"),
        (("adaptation=prefix",), "virtual tokens stand before"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    said = run(tmp_path, *words, fails=True)
    assert message in said
    assert "Traceback" not in said


def test_a_batch_without_rows_has_no_loss_and_a_gradient_of_nothing() -> None:
    method = method_of("bert")
    loss = method.loss(method.masked(collate([[]], 8), 1))
    loss.sum.backward()
    assert (float(loss.sum.detach()), float(loss.weight)) == (0, 0)
