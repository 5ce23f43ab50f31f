"""Continued pre-training trains on every token of every document once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.contracts.batch import Row, TokenSequence
from luthier.data.collate import collate
from luthier.data.module import Data
from luthier.data.overlong import split_row
from luthier.data.prompts import ChatPrompt
from luthier.errors import DataError, RecipeError
from luthier.models.adaptation import FullFineTuning
from luthier.training.optimizers.adamw import AdamW
from luthier.training.optimizers.schedules import Constant
from luthier_cpt.cpt import ContinuedPretraining
from tests.plugins.cpt.tiny_corpus import Texts, documents, tiny


def method(model, **settings):
    cpt = ContinuedPretraining(model, FullFineTuning(), AdamW(Constant(warmup=0.0), lr=1e-3), **settings)
    cpt.configure_model()
    return cpt.eval()


def data(cpt, texts, **settings):
    defaults = {"length": 32, "size": 2, "micro": 1, "overlong": "split"}
    return Data(Texts(texts), ChatPrompt(), cpt.encode, cpt.model.tokenizer, 0, **(defaults | settings))


@pytest.fixture(scope="module")
def trained(model):
    return method(model)


@given(length=st.integers(2, 40), size=st.integers(2, 200))
@settings(max_examples=60, deadline=None)
def test_a_document_cut_into_pieces_has_each_token_predicted_once_and_from_the_one_before_it(length, size):
    weights = np.ones(size, np.float32)
    weights[0] = 0
    cut = split_row(Row((TokenSequence(np.arange(size, dtype=np.int32), weights),), {"bytes": 1.0}), length)
    assert all(len(piece) <= length for piece in cut)
    assert all(piece.values == {"bytes": 1.0} for piece in cut)
    predicted = [
        (int(before), int(after))
        for piece in cut
        for (before, after), weight in zip(
            zip(piece.sequences[0].ids, piece.sequences[0].ids[1:], strict=False), piece.sequences[0].weights[1:],
            strict=True,
        )
        if weight
    ]  # fmt: skip
    assert predicted == [(token, token + 1) for token in range(size - 1)]


def test_two_sequences_that_belong_together_are_not_cut():
    one = TokenSequence(np.arange(9, dtype=np.int32), np.ones(9, np.float32))
    with pytest.raises(RecipeError, match="belong together"):
        split_row(Row((one, one)), 10)


def test_every_token_of_long_documents_is_in_a_block_and_the_report_says_what_was_cut(trained):
    texts = documents(12)
    made = data(trained, texts)
    blocks = made.blocks("train")
    rows = [trained.encode({"text": text}, trained.model.tokenizer) for text in texts]
    trainable = sum(int((row.sequences[0].weights > 0).sum()) for row in rows)
    counts = made.report()
    assert counts["trained"] == trainable == sum(len(row) - 1 for row in rows)
    assert counts["split"] == counts["overlong"] == sum(len(row) > 32 for row in rows) > 0
    assert "dropped" not in counts
    assert "truncated" not in counts
    assert {example for number in range(len(blocks)) for example in blocks.examples(number)} == set(range(12))
    assert counts["tokens"] > 0.9 * 32 * counts["blocks"]  # hardly any padding


def test_a_document_ends_with_the_token_that_ends_text(trained):
    tokenizer = trained.model.tokenizer
    (sequence,) = trained.encode({"text": "The bridge leans."}, tokenizer).sequences
    assert sequence.ids[-1] == tokenizer.eos_token_id
    assert sequence.weights[-1] == 1
    assert tokenizer.decode(sequence.ids[:-1].tolist()) == "The bridge leans."


def test_the_loss_is_that_of_transformers_on_each_document(trained):
    rows = [trained.encode({"text": text}, trained.model.tokenizer) for text in documents(3, most=30)]
    batch = collate([rows], 256)
    total = 0.0
    for row in rows:
        ids = torch.from_numpy(row.sequences[0].ids.astype(np.int64)).unsqueeze(0)
        total += float(trained.network(input_ids=ids, labels=ids).loss) * (ids.numel() - 1)
    with torch.no_grad():
        loss = trained.loss(batch)
    assert float(loss.weight) == sum(len(row) - 1 for row in rows)
    assert float(loss.sum) == pytest.approx(total, rel=1e-5)


def test_tokens_attend_to_earlier_documents_only_with_across_documents(model, trained):
    across = method(model, across_documents=True)
    first, second = (trained.encode({"text": text}, model.tokenizer) for text in documents(2, most=30))
    other = trained.encode({"text": "Something else, of another length."}, model.tokenizer)
    ids = torch.from_numpy(np.concatenate([first.sequences[0].ids, second.sequences[0].ids]).astype(np.int64))
    with torch.no_grad():
        alone = [float(trained.loss(collate([[before, second]], 160)).sum) for before in (first, other)]
        after = float(across.loss(collate([[first, second]], 160)).sum)
        logits = across.network(input_ids=ids.unsqueeze(0)).logits[0, :-1]
        nats = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
        own = [float(trained.loss(collate([[row]])).sum) for row in (first, other)]
    nats[len(first) - 1] = 0  # the first token of the second document is masked
    assert after == pytest.approx(float(nats.sum()), rel=1e-5)
    assert alone[0] - own[0] == pytest.approx(alone[1] - own[1], rel=1e-5)
    assert after != pytest.approx(alone[0], rel=1e-5)


def test_held_out_text_is_evaluated_in_windows_that_do_not_depend_on_blocks(model):
    made = method(model, window=16)
    rows = [made.encode({"text": text}, model.tokenizer) for text in documents(3)]
    losses = made.losses(rows)
    for row, (nats, tokens) in zip(rows, losses, strict=True):
        ids = torch.from_numpy(row.sequences[0].ids.astype(np.int64))
        total = 0.0
        for start in range(0, len(ids) - 1, 15):
            part = ids[start : start + 16].unsqueeze(0)
            total += float(made.network(input_ids=part, labels=part).loss) * (part.numel() - 1)
        assert tokens == len(row) - 1
        assert nats == pytest.approx(total, rel=1e-4)


def test_bits_a_byte_are_computed_by_hand(trained):
    text = "ab cd"
    row = trained.encode({"text": text}, trained.model.tokenizer)
    first = trained.model.tokenizer.decode(row.sequences[0].ids[:1].tolist())
    statistics = trained.measured([row])["bits_per_byte"]
    bits = float(trained.measures["bits_per_byte"].reduce(statistics.sum(0)))
    assert bits == pytest.approx(trained.losses([row])[0, 0] / math.log(2) / (len(text) - len(first)), rel=1e-6)


def test_embeddings_have_a_learning_rate_of_their_own(model):
    made = method(model, embedding_rate=5.0)
    named = [(name, weight) for name, weight in made.network.named_parameters()]
    optimizer = made.optimizer(named, 10, made.rate)["optimizer"]
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    for name, weight in named:
        assert rates[id(weight)] == pytest.approx(5e-3 if "embed" in name else 1e-3)


def test_a_conversation_is_refused_with_the_way_out(trained):
    with pytest.raises(DataError, match="reads `text`") as caught:
        trained.encode({"messages": [], "where": "chats.jsonl:1"}, trained.model.tokenizer)
    assert "method=sft" in caught.value.hint
    assert caught.value.where == "chats.jsonl:1"


def test_a_window_of_one_token_is_refused(model):
    with pytest.raises(RecipeError, match="predicts nothing"):
        method(model, window=1)


def test_a_network_of_another_shape_is_trained_as_well():
    made = method(tiny(architecture="gpt_neox", tie=False))
    rows = [made.encode({"text": text}, made.model.tokenizer) for text in documents(2, most=30)]
    assert float(made.loss(collate([rows], 256)).sum) > 0
