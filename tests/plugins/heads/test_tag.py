"""Taggers: the loss is transformers', packed as alone, long texts in windows, and runs through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luthier
from luthier.contracts.heads import Head
from luthier.data.collate import collate
from luthier.data.overlong import split_row, truncated_row
from luthier.errors import RecipeError
from luthier.inference.class_proof import prove_tagger
from luthier.inference.tag_decoding import rules_of
from luthier.inference.token_scores import encode_words, tags_of_network, token_outputs, token_scores
from luthier.models.adaptation import FullFineTuning
from luthier.models.attention.proof import batch_of
from luthier.models.random import Random
from luthier.models.sequence_classification import SequenceClassification
from luthier_heads.tag import Tag
from tests.command import luthier as command

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "deberta-v2": SMALL,
    "modernbert": SMALL,
    "convbert": SMALL,
    "llama": SMALL | {"num_key_value_heads": 4},
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4},
}
NAMES, FIRMS = ["Ann", "Bo", "Cid", "Dora", "Edgar"], ["Acme Ltd", "Bolt", "Cog Works Inc"]


def rows(count: int = 40) -> list[dict[str, Any]]:
    random, made = np.random.default_rng(0), []
    for number in range(count):
        parts = [(str(random.choice(NAMES)), "PER"), (" works for ", ""), (str(random.choice(FIRMS)), "ORG")]
        text, entities = "", []
        for part, label in [*parts, (f" since day {number}.", "")]:
            if label:
                entities.append({"start": len(text), "end": len(text) + len(part), "label": label})
            text += part
        made.append({"text": text, "entities": entities if number % 5 else []} if number % 5 else
                    {"text": f"No one works since day {number}.", "entities": []})  # fmt: skip
    return made


def method_of(architecture: str, **settings: Any) -> Tag:
    model = Random(architecture=architecture, config=CONFIGS[architecture], vocabulary=300)
    method = Tag(model, FullFineTuning(), lambda *_: None, **settings)
    method.learn({"train": rows()})
    method.configure_model()
    method.eval()
    return method


@pytest.mark.parametrize("architecture", CONFIGS)
def test_loss_and_gradients_are_those_of_transformers_for_texts_one_by_one(architecture: str) -> None:
    method = method_of(architecture, scheme="BILOU")
    encoded = [method.encode(one, method.model.tokenizer) for one in rows(7)]
    ours = method.loss(collate([encoded[:4], encoded[4:]]))
    (ours.sum / ours.weight).backward()
    named = dict(method.network.named_parameters())
    gradients = {name: weight.grad.clone() for name, weight in named.items() if weight.grad is not None}
    method.network.zero_grad()
    total, words = 0.0, 0
    for row in encoded:
        (one,) = row.sequences
        ids, labels = (torch.tensor(np.array(each))[None].long() for each in (one.ids, one.labels))
        count = int((labels >= 0).sum())
        loss = method.network(input_ids=ids, labels=torch.where(labels < 0, -100, labels)).loss
        (loss * count / int(ours.weight)).backward()
        total, words = total + float(loss) * count, words + count
    assert words == int(ours.weight) == sum(len(encode_words(one, method.model.tokenizer).words) for one in rows(7))
    assert float(ours.sum / ours.weight) == pytest.approx(total / words, abs=1e-5)
    for name, weight in named.items():
        if weight.grad is not None:
            torch.testing.assert_close(gradients[name], weight.grad, atol=2e-5, rtol=1e-3, msg=name)
    measured = method.measured_of(rows(7), encoded)
    assert float(measured["loss"][:, 0].sum()) == pytest.approx(total, rel=1e-4)


def test_the_door_refuses_a_tagger_that_mixes_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_of("bert")
    assert prove_tagger(method.network) < 5
    from luthier.models.attention import packing

    monkeypatch.setattr(packing.Packing, "lengths", property(lambda self: [self.boundaries[-1] - self.boundaries[0]]))
    with pytest.raises(RecipeError, match=r"otherwise than each alone|cannot tag"):
        prove_tagger(method.network)


def test_a_tag_does_not_depend_on_other_texts_of_the_batch() -> None:
    network = method_of("modernbert").network
    batch = batch_of(((5, 21, 3), (27,)), 290)
    before = token_outputs(network, batch)
    batch.input_ids[0, 5:26] = batch.input_ids[0, 5:26].flip(0)
    changed = ((token_outputs(network, batch) - before).abs().amax(2) > 1e-6)[batch.segments > 0]
    assert changed.nonzero().flatten().tolist() == list(range(5, 26))


def test_the_first_token_of_each_word_speaks_for_it() -> None:
    tokenizer = Random(architecture="bert", config=SMALL, vocabulary=300).tokenizer
    example = {"text": "Ann's  naïve 東京 purfling!"}
    encoded = encode_words(example, tokenizer)
    offsets = tokenizer(example["text"], return_offsets_mapping=True).offset_mapping
    for (start, end), token in zip(encoded.words, encoded.first_tokens.tolist(), strict=True):
        begin, stop = offsets[token]
        assert begin <= start < stop or example["text"][begin:start].isspace()
        assert start < end
    assert len(set(encoded.first_tokens.tolist())) == len(encoded.words)
    assert (encoded.row.opening, encoded.row.closing) == (1, 1)


def test_windows_of_a_long_text_train_each_word_once_and_are_put_together_again() -> None:
    method = method_of("bert")
    example = {"text": " ".join(row["text"] for row in rows(12)), "entities": []}
    row = method.encode(example, method.model.tokenizer)
    pieces = split_row(row, 40)
    ids, labels = row.sequences[0].ids, row.sequences[0].labels
    assert labels is not None
    assert len(pieces) > 4
    assert max(map(len, pieces)) <= 40
    assert sum(int((piece.sequences[0].labels >= 0).sum()) for piece in pieces) == int((labels >= 0).sum())
    assert all(piece.sequences[0].ids[[0, -1]].tolist() == ids[[0, -1]].tolist() for piece in pieces)
    assert all(piece.sequences[0].weights[0] == 0 for piece in pieces)
    assert truncated_row(row, 40).sequences[0].ids[-1] == ids[-1]
    (whole,) = token_scores(method.network, [row], 1000)
    (in_windows,) = token_scores(method.network, [row], 40)
    assert whole.shape == in_windows.shape == (len(row), 5)
    assert not np.allclose(whole[1:-1], in_windows[1:-1], atol=1e-4)  # other context
    (near,) = token_scores(method.network, [row], len(row))
    np.testing.assert_allclose(whole, near, atol=1e-5)
    own = token_scores(method.network, pieces[:1], 40)[0]  # the first window by itself
    np.testing.assert_allclose(in_windows[1:30], own[1:30], atol=1e-5)


def test_an_earlier_head_of_the_same_tags_stays_and_another_begins_anew() -> None:
    model = Random(architecture="bert", config=SMALL, vocabulary=300)
    head = Head(("O", "B-PER", "I-PER"), "token_classification")
    one = SequenceClassification(model, head=head).network()
    from luthier.models.sequence_classification import with_labelled_head

    assert Head.of(one.config) == head
    assert with_labelled_head(one, head, None) is one
    sequence = with_labelled_head(one, Head(("a", "b")), None)
    assert type(sequence).__name__ == "BertForSequenceClassification"
    assert Head.of(sequence.config) == Head(("a", "b"))


def run(tmp_path: Path, data: list[dict[str, Any]], *words: str, folder: str = "run", fails: bool = False) -> str:
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in data), encoding="utf-8")
    done = command(
        "method=tag", "model=tiny_encoder", "data=jsonl", f"data.file={file}", "data.splits.test=0.3",
        "trainer.precision=fp32", "batch.length=64", *words, f"hydra.run.dir={tmp_path / folder}",
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


LEARN = ("trainer.epochs=12", "optimizer.lr=0.002", "batch.size=2", "batch.micro=1")


@pytest.mark.parametrize(
    "adaptation",
    ["full", "lora", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("bottleneck", "ia3", "qlora"))],
)
def test_what_was_trained_is_what_is_loaded(adaptation: str, tmp_path: Path) -> None:
    out = run(tmp_path, rows(), *LEARN, f"adaptation={adaptation}", "score=span_f1")
    assert "span F1" in out
    model = luthier.load(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["labels"] == ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    assert [one["title"] for one in record["sections"]] == ["Entities by kind", "Where it is most wrong"]
    assert "model.tag(" in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    answers = model.tag([row["text"] for row in rows()])
    right = sum(
        [{"start": e.start, "end": e.end, "label": e.label} for e in own] == row["entities"]
        for own, row in zip(answers, rows(), strict=True)
    )
    if adaptation in ("full", "lora"):
        after = {one["name"]: one["after"]["value"] for one in record["comparisons"]}
        assert after["span_f1"] > 0.9
        assert right >= 36
    assert all(0 < e.probability <= 1 and e.text == row["text"][e.start : e.end]
               for own, row in zip(answers, rows(), strict=True) for e in own)  # fmt: skip


def word_pieces(folder: Path) -> Path:
    """A small BERT with a tokenizer of word pieces, as pipelines of transformers know words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        [row["text"] for row in rows()], trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    )
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=made, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=made.get_vocab_size(), **SMALL | {"hidden_dropout_prob": 0.0})).save_pretrained(
        folder
    )
    return folder


def test_a_pipeline_of_transformers_finds_the_same_entities(tmp_path: Path) -> None:
    from transformers import pipeline

    model = word_pieces(tmp_path / "word_pieces")
    run(tmp_path, rows(), *LEARN, "model=folder", f"model.path={model}")
    texts = [row["text"] for row in rows(12)]
    ours = luthier.load(tmp_path / "run")
    plain = pipeline(
        "token-classification", model=str(tmp_path / "run" / "artifact"), aggregation_strategy="first"
    )  # fmt: skip
    assert ours.tag(texts)[1]
    found = [[(one["entity_group"], one["start"], one["end"]) for one in theirs] for theirs in plain(texts)]
    expected = [[(one.label, one.start, one.end) for one in own] for own in ours.tag(texts)]
    tags = tags_of_network(ours.network)
    scores = ours.word_scores([{"text": text} for text in texts])
    possible = [rules_of(tags).best(own) == [tags[at] for at in own.argmax(1)] for own in scores]
    assert sum(possible) >= 9  # elsewhere the pipeline takes tags that cannot follow each other
    assert [one for one, same in zip(found, possible, strict=True) if same] == [
        one for one, same in zip(expected, possible, strict=True) if same
    ]


def test_text_without_a_word_and_long_text_are_tagged_too(tmp_path: Path) -> None:
    run(tmp_path, rows(), "trainer.max_steps=1")
    model = luthier.load(tmp_path / "run")
    long = " ".join(row["text"] for row in rows(40) * 4)
    empty, blank, found = model.tag(["", " \n", long])
    assert (empty, blank) == ([], [])
    assert all(one.text == long[one.start : one.end] for one in found)
    with pytest.raises(RecipeError, match="classify, tag, embed or rerank"):
        model.generate([[{"role": "user", "content": "Hm?"}]])
    with pytest.raises(RecipeError, match="no classifier"):
        model.classify(["a"])


@pytest.mark.parametrize(
    ("changed", "words", "message"),
    [
        ({1: {"entities": [[0, 99, "PER"]]}}, (), "reaches from character 0 to 99"),
        ({1: {"entities": [[0, 3, "NEW"]]}}, ("method.labels=[PER,ORG]",), "'NEW' is an entity of the data"),
        ({n: {"entities": []} for n in range(40)}, (), "No training example has an entity"),
        ({}, ("adaptation=prefix",), "virtual tokens"),
        ({}, ("prompt=instruction",), "reads the text alone"),
        ({n: {"entities": None} for n in range(40)}, ("data/format=text",), "spans, tagged_tokens or label_studio"),
        ({1: {"entities": [[0, 3, "PER"]]}}, ("data/format=text",), "An entity is [0, 3, 'PER'], and no span"),
        ({}, ("batch.length=16",), "longer than batch.length=16"),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_it_is_trained(
    changed: dict[int, dict[str, Any]], words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    data = [{**row, **changed.get(number, {})} for number, row in enumerate(rows())]
    said = run(tmp_path, data, *words, fails=True)
    assert message in said
    assert "Traceback" not in said
    assert "step 1/" not in said


def test_long_texts_are_split_into_windows(tmp_path: Path) -> None:
    long = [
        {"text": f"{row['text']} {row['text'].replace('day', 'night')} And so on and so on, for ever and a day.",
         "entities": row["entities"]} for row in rows(20)
    ]  # fmt: skip
    out = run(tmp_path, long, "batch.length=24", "batch.overlong=split", "trainer.max_steps=2")
    assert "partial f1" in out


def test_a_batch_without_rows_has_no_loss_and_a_gradient_of_nothing() -> None:
    loss = method_of("bert").loss(collate([[]], 8))
    loss.sum.backward()
    assert (float(loss.sum.detach()), float(loss.weight)) == (0, 0)
