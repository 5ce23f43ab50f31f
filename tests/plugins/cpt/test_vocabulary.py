"""New tokens: which are learned, that no id moves, how their rows begin, and that artifacts have them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from luthier.config.instantiate import instantiate
from luthier.errors import RecipeError
from luthier.models.adaptation import FullFineTuning
from luthier.training.optimizers.adamw import AdamW
from luthier.training.optimizers.schedules import Constant
from luthier_cpt.cpt import ContinuedPretraining
from luthier_cpt.vocabulary import tokenizers
from luthier_cpt.vocabulary.extended import Extended
from luthier_cpt.vocabulary.merges import further_merges
from tests.plugins.cpt.tiny_corpus import COMMON, WORDS, Texts, documents, tiny

TEXT = "The purfling of the tailpiece is under the soundpost."


def extended(base=None, **asked):
    settings = {"tokens": 30, "frequency": 5, **asked}
    return Extended(base=base or tiny(), corpus=Texts(documents(60)), **settings)


def test_merges_are_those_that_training_would_have_found_next():
    words = {("a", "b", "c"): 5, ("a", "b", "d"): 2, ("c", "c", "c"): 4}
    # ab 7 times; then cc 4 · 2 = 8 times comes first; then ab, then ab-c 5, then cc-c 4, then ab-d 2
    assert further_merges(words, set("abcd"), 9, 3) == [("c", "c"), ("a", "b"), ("ab", "c"), ("cc", "c")]
    assert further_merges(words, set("abcd"), 2, 3) == [("c", "c"), ("a", "b")]
    assert further_merges(words, {*"abcd", "ab"}, 9, 5) == [("c", "c"), ("b", "c"), ("a", "bc")]


def test_a_token_is_as_frequent_as_was_asked_for():
    model = extended(frequency=40)
    text = " ".join(documents(60))
    for left, right in model._merges:
        assert text.count((left + right).replace("Ġ", " ")) >= 40


def test_no_id_moves_and_each_new_token_is_reached():
    base, model = tiny(), extended()
    before, after = base.tokenizer.get_vocab(), model.tokenizer.get_vocab()
    assert {token: after[token] for token in before} == before
    new = sorted(set(after.values()) - set(before.values()))
    assert new == list(range(max(before.values()) + 1, max(before.values()) + 31))
    reached = model.tokenizer.backend_tokenizer.model
    assert all(len(reached.tokenize("".join(pair))) == 1 for pair in model._merges)
    assert model.tokenizer.decode(model.tokenizer(TEXT)["input_ids"]) == TEXT
    assert len(model.tokenizer(TEXT)["input_ids"]) < len(base.tokenizer(TEXT)["input_ids"])


def test_text_without_new_words_is_cut_as_before():
    said = "Zebras quack; 1999 was a year. <|im_end|> Ünïcödé."
    assert extended().tokenizer(said)["input_ids"] == tiny().tokenizer(said)["input_ids"]


def test_tokens_that_stand_beside_the_model_of_a_tokenizer_keep_their_ids():
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        [" ".join(COMMON)], trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    tokenizer.add_special_tokens({"eos_token": "<|end|>", "pad_token": "<|pad|>"})
    merges = tokenizers.learn_merges(tokenizer, documents(30), 20, 5)
    after = tokenizers.extended(tokenizer, merges)
    assert (after.eos_token_id, after.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert after("varnish<|end|>")["input_ids"][-1] == tokenizer.eos_token_id
    assert min(after.get_vocab()["".join(pair)] for pair in merges) == max(tokenizer.get_vocab().values()) + 1


def test_a_tokenizer_that_merges_no_pairs_is_refused():
    backend = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    with pytest.raises(RecipeError, match="WordLevel"):
        tokenizers.learn_merges(tokenizer, ["a"], 1, 1)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("initial", ["mean", "weighted"])
def test_a_new_row_begins_as_the_mean_of_its_old_pieces(tie, initial):
    base = tiny(tie=tie)
    model = extended(base, initial=initial)
    before, after = base.network(), model.network()
    pair = model._merges[-1]
    number = model.tokenizer.get_vocab()["".join(pair)]
    pieces = [token.id for token in base.tokenizer.backend_tokenizer.model.tokenize("".join(pair))]
    assert len(pieces) > 1
    lengths = torch.tensor([len(base.tokenizer.convert_ids_to_tokens(piece)) for piece in pieces], dtype=torch.float32)
    weights = lengths / lengths.sum() if initial == "weighted" else torch.full_like(lengths, 1 / len(pieces))
    for of in (lambda network: network.get_input_embeddings(), lambda network: network.get_output_embeddings()):
        rows = (of(before).weight[pieces] * weights.unsqueeze(1)).sum(0)
        torch.testing.assert_close(of(after).weight[number], rows)
        assert torch.equal(of(after).weight[: len(of(before).weight)], of(before).weight)
    assert (after.get_input_embeddings().weight is after.get_output_embeddings().weight) is tie
    assert after.config.vocab_size == model.config.vocab_size == len(after.get_input_embeddings().weight)


def test_unused_rows_of_a_base_are_taken_before_new_ones_are_made():
    base = tiny()
    base.overrides["vocab_size"] = 1000
    model = extended(base)
    assert len(model.network().get_input_embeddings().weight) == model.config.vocab_size == 1000


def test_what_the_tokens_save_is_said_of_held_out_text():
    model = extended()
    lineage = model.lineage()
    assert lineage["new_tokens"] == 30
    before = tokenizers.tokens_per_word(tiny().tokenizer, documents(60))
    after = tokenizers.tokens_per_word(model.tokenizer, documents(60))
    assert f"{before:.3f} tokens a word of held-out text before, {after:.3f} after" in lineage["note"]
    words = sum(len(text.split()) for text in documents(60))
    assert after == pytest.approx(sum(len(model.tokenizer(text)["input_ids"]) for text in documents(60)) / words)
    assert after < before


def test_learning_again_gives_the_same_tokens_and_other_text_others():
    assert extended()._merges == extended()._merges
    other = Extended(
        base=tiny(), corpus=Texts([" ".join(reversed(text)) for text in documents(60)]), tokens=30, frequency=5
    )
    assert other._merges != extended()._merges


def trained(model, adaptation, steps: int = 2):
    torch.manual_seed(0)
    method = ContinuedPretraining(model, adaptation, AdamW(Constant(warmup=0.0), lr=1e-2))
    method.configure_model()
    from luthier.data.collate import collate

    batch = collate([[method.encode({"text": TEXT}, model.tokenizer)]])
    optimizer = torch.optim.AdamW([each for each in method.network.parameters() if each.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        method.loss(batch).sum.backward()
        optimizer.step()
    return method.network.eval(), batch.input_ids


def lora():
    return instantiate({"_target_": "luthier_adapters.lora.Lora", "rank": 2, "targets": ["q_proj"]})


@pytest.mark.parametrize("tie", [True, False])
def test_an_adapter_trains_and_saves_the_new_rows_alone_and_loads_exactly(tmp_path, tie):
    model = extended(tiny(tie=tie))
    network, ids = trained(model, lora())
    table = network.get_input_embeddings()
    start, new = model.network(), model.added_tokens
    used = sorted(set(ids.flatten().tolist()) & set(new))
    assert used
    embedded = table(torch.arange(model.config.vocab_size))
    original = start.get_input_embeddings().weight
    assert torch.equal(embedded[: new[0]], original[: new[0]])
    assert not torch.equal(embedded[used], original[used])
    lora().save(network, tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert max(len(tensor) for name, tensor in saved.items() if "token" in name or "embed" in name) == len(new)
    assert sum(tensor.numel() for tensor in saved.values()) < 0.5 * original.numel()
    loaded = lora().load(model, tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(input_ids=ids).logits, network(input_ids=ids).logits)
        merged = lora().merge(loaded).eval()
        torch.testing.assert_close(merged(input_ids=ids).logits, network(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


def test_an_adaptation_that_leaves_new_rows_as_they_began_is_refused():
    class Norms(FullFineTuning):
        def __call__(self, network):
            network.requires_grad_(False)
            for name, weight in network.named_parameters():
                weight.requires_grad_("norm" in name)
            return network

    with pytest.raises(RecipeError, match="as they began"):
        trained(extended(), Norms(), steps=0)


def test_a_restored_model_takes_its_tokens_from_the_artifact(tmp_path):
    model = extended()
    model.tokenizer.save_pretrained(tmp_path)
    again = Extended(base=tiny(), corpus=Texts(["Nothing of the kind."]), tokens=30, frequency=5)
    again.restore(tmp_path)
    assert again._merges == model._merges
    assert again.lineage()["sha256"] == model.lineage()["sha256"]
    assert torch.equal(again.network().get_input_embeddings().weight, model.network().get_input_embeddings().weight)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXT)["input_ids"] == model.tokenizer(TEXT)["input_ids"]
    assert json.loads((tmp_path / "tokenizer.json").read_text())["model"]["type"] == "BPE"


def test_each_merge_joins_tokens_that_are_there_by_then():
    model = extended()
    known = set(tiny().tokenizer.get_vocab())
    for left, right in model._merges:
        assert {left, right} <= known
        known.add(left + right)
    assert any(WORDS[0] in token for token in known)
    assert all(before != after for before, after in pairwise(model._merges))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("luthier_adapters.principal.Pissa", "new tokens"),
        ("luthier_adapters.principal.Olora", "new tokens"),
        ("luthier_prefix.prompt_tuning.PromptTuning", "as they began"),
    ],
)
def test_an_adaptation_that_would_lose_the_new_rows_is_refused(target, said):
    with pytest.raises(RecipeError, match=said):
        trained(extended(), instantiate({"_target_": target}), steps=0)


def test_pruned_ranks_and_new_rows_are_loaded_together(tmp_path):
    settings = {"_target_": "luthier_adapters.adalora.AdaLora", "rank": 4, "target": 2, "targets": ["q_proj"]}
    model, adaptation = extended(), instantiate(settings)
    network, ids = trained(model, adaptation)
    adaptation.save(network, tmp_path)
    loaded = instantiate(settings).load(model, tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(input_ids=ids).logits, network(input_ids=ids).logits)
