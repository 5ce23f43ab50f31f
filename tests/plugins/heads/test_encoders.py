"""Encoders of all kinds compute a text as if it were alone, packed or masked, and their heads read it so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING

from luthier.contracts.heads import Head
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.inference.class_proof import prove_classifier
from luthier.inference.class_scores import class_outputs
from luthier.models.adaptation import FullFineTuning
from luthier.models.attention import Packed, layout_of
from luthier.models.attention.proof import batch_of
from luthier.models.auto_class import is_encoder
from luthier.models.head_weights import head_modules
from luthier.models.random import Random
from luthier.models.sequence_classification import SequenceClassification, with_labelled_head
from luthier_heads.classify import Classify
from luthier_heads.multi_label import BinaryCrossEntropy
from luthier_heads.regression import SquaredError
from luthier_heads.single_label import CrossEntropy

HEAD = Head(("a", "b", "c"))
SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
PACKED = {
    "bert": 0, "roberta": 2, "xlm-roberta": 2, "camembert": 2, "electra": 0, "modernbert": 0, "albert": 0,
    "distilbert": 0, "nomic_bert": 0, "eurobert": 0, "gte": 0,
}  # fmt: skip
"""Architectures that are packed, and their first position where the token of padding is 1, else 0."""
MASKED = ("deberta-v2", "mpnet")
BY_LENGTH = ("convbert",)
LENGTHS = ((5, 21, 3), (27,), (2, 9), (1, 30))


def network(architecture: str, **more: Any) -> Any:
    names = {"distilbert": {"n_layers": 2, "dim": 32, "hidden_dim": 48, "n_heads": 4}}
    config = names.get(architecture, SMALL) | more
    if architecture in ("roberta", "xlm-roberta", "camembert"):
        config = config | {"pad_token_id": 1}
    return SequenceClassification(Random(architecture=architecture, config=config, vocabulary=300), head=HEAD).network()


def alone(made: Any, batch: Any) -> torch.Tensor:
    spans = [batch.input_ids.flatten()[batch.boundaries[n] : batch.boundaries[n + 1]] for n in batch.sequence_numbers]
    return torch.cat([made(input_ids=ids[None]).logits for ids in spans])


@pytest.mark.parametrize("architecture", [*PACKED, *MASKED, *BY_LENGTH])
def test_outputs_and_gradients_are_those_of_each_text_by_itself(architecture: str) -> None:
    made = network(architecture).eval()
    layout, batch = layout_of(made), batch_of(LENGTHS, 290)
    expected = Packed.KERNELS if architecture in PACKED else Packed.MASKED if architecture in MASKED else Packed.LENGTHS
    assert (layout.packed, layout.bidirectional) == (expected, True)
    if architecture in PACKED:
        assert layout.first_position == PACKED[architecture]
    else:
        assert layout.reason
    directions = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    outcomes = []
    for outputs in (class_outputs(made, batch), alone(made, batch)):
        made.zero_grad()
        (outputs * directions).sum().backward()
        outcomes.append(
            (outputs.detach(), {n: w.grad.clone() for n, w in made.named_parameters() if w.grad is not None})
        )
    (ours, gradients), (theirs, whole) = outcomes
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert gradients.keys() == whole.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[name], atol=1e-4, rtol=1e-3, msg=name)


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    made, batch = network("modernbert").eval(), batch_of(LENGTHS, 290)
    before = class_outputs(made, batch)
    batch.input_ids[0, 5:26] = batch.input_ids[0, 5:26].flip(0)
    after = class_outputs(made, batch)
    changed = (before - after).abs().amax(1) > 1e-6
    assert changed.tolist() == [False, True, *[False] * 6]
    torch.testing.assert_close(after, alone(made, batch), atol=1e-5, rtol=1e-4)


def test_the_door_refuses_a_network_that_mixes_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network("bert").eval()
    assert prove_classifier(made) < 5
    from luthier.models.attention import packing

    monkeypatch.setattr(packing.Packing, "lengths", property(lambda self: [self.boundaries[-1] - self.boundaries[0]]))
    with pytest.raises(RecipeError, match=r"otherwise than each alone|cannot classify"):
        prove_classifier(made)


def test_a_new_head_is_the_same_each_time_on_the_same_encoder() -> None:
    one, two = network("roberta"), network("roberta")
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert head_modules(one) == ["classifier"]
    assert with_labelled_head(one, HEAD, None) is one
    other = with_labelled_head(two, Head(("x", "y")), None)
    assert other.config.id2label == {0: "x", 1: "y"}
    assert torch.equal(other.roberta.embeddings.word_embeddings.weight, one.roberta.embeddings.word_embeddings.weight)


def test_roberta_has_two_positions_less_than_embeddings() -> None:
    model = Random(architecture="roberta", config={**SMALL, "pad_token_id": 1, "max_position_embeddings": 66})
    assert model.tokenizer.model_max_length == 64
    made = SequenceClassification(model, head=HEAD).network().eval()
    batch = batch_of(((64,),), 290)
    torch.testing.assert_close(class_outputs(made, batch), alone(made, batch), atol=1e-5, rtol=1e-4)


def test_an_encoder_begins_and_ends_texts_and_a_language_model_stays_as_it_was() -> None:
    encoder = Random(architecture="bert", config=SMALL).tokenizer
    assert encoder.convert_ids_to_tokens(encoder("Spruce").input_ids)[::-1][0] == encoder.sep_token
    assert encoder("").input_ids == [encoder.cls_token_id, encoder.sep_token_id]
    assert Random(architecture="bert", config={**SMALL, "is_decoder": True}).tokenizer("").input_ids == []


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "llama"])
@pytest.mark.parametrize(
    ("objective", "example"),
    [
        (CrossEntropy(), lambda number: {"label": "abc"[number % 3]}),
        (BinaryCrossEntropy(), lambda number: {"labels": list("abc"[: number % 3 + 1])}),
        (SquaredError(column="stars"), lambda number: {"stars": number / 2}),
    ],
)
def test_the_loss_is_that_of_transformers(architecture: str, objective: Any, example: Any) -> None:
    small = {**SMALL, "num_key_value_heads": 4} if architecture == "llama" else SMALL
    model = Random(architecture=architecture, config=small, vocabulary=300)
    method = Classify(model, FullFineTuning(), lambda *_: None, objective=objective)
    examples = [{"text": f"Part {number} {'of it ' * number}", **example(number)} for number in range(7)]
    method.learn({"train": examples})
    method.configure_model()
    method.eval()
    rows = [method.encode(one, model.tokenizer) for one in examples]
    ours, theirs = method.loss(collate([rows[:4], rows[4:]])), []
    for one, row in zip(examples, rows, strict=True):
        values = list(objective.target(one, method.labels).values())
        single = objective.problem == "single_label_classification"
        labels = torch.tensor(values[0]).long()[None] if single else torch.tensor([values])
        ids = torch.tensor(row.sequences[0].ids)[None].long()
        theirs.append(float(method.network(input_ids=ids, labels=labels).loss))
    assert float(ours.sum / ours.weight) == pytest.approx(sum(theirs) / len(theirs), abs=1e-5)
    assert method.measured(rows)["loss"][:, 0] == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize(("model_type", "setting"), [("bert", "is_decoder"), ("xlm", "causal")])
def test_a_configuration_says_whether_it_is_that_of_a_decoder(model_type: str, setting: str) -> None:
    assert is_encoder(CONFIG_MAPPING[model_type]())
    assert not is_encoder(CONFIG_MAPPING[model_type](**{setting: True}))
