from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.contracts.sampling import Sampling
from luthier.data import encoding as encode
from luthier.data.prompts import ChatPrompt
from luthier.errors import DataError, NumericsError
from luthier.evaluation.bootstrap import exponential_ratio, ratio
from luthier.evaluation.evaluation import Evaluation
from luthier.evaluation.general_text import text_losses
from luthier.evaluation.measurement import Measurement
from luthier.evaluation.metrics.accuracy import Accuracy
from luthier.evaluation.metrics.exact_match import ExactMatch
from luthier.evaluation.metrics.macro_f1 import MacroF1
from luthier.evaluation.scores import Scores
from luthier.evaluation.side_by_side import side_by_side
from luthier.evaluation.tasks.classification import Classification
from luthier.evaluation.tasks.generation import Generation
from luthier.evaluation.tasks.none import NoTask
from luthier.inference.predictor import NetworkPredictor
from luthier.models.random import Random


def evaluation(general=(), task=None, **settings):
    settings = {"samples": 0, "resamples": 200, "general_examples": len(general)} | settings
    return Evaluation(task=task or NoTask(), general=general, **settings)


def classification(**settings):
    return Classification(metrics={"accuracy": Accuracy(), "macro_f1": MacroF1()}, **settings)


def by_hand(subject, sequence):
    """(-log p, tokens) of the weighted tokens, from the network's plain logits."""
    ids = torch.tensor(sequence.ids, dtype=torch.int64)[None]
    with torch.no_grad():
        log_probs = torch.log_softmax(subject.network(input_ids=ids, use_cache=False).logits[0].double(), -1)
    scored = log_probs[:-1].gather(1, ids[0, 1:, None])[:, 0].numpy()
    return -(scored * sequence.weights[1:]).sum(), sequence.weights[1:].sum()


def test_held_out_loss_is_the_mean_over_answered_tokens(subject, examples):
    scores = evaluation()(subject, {"test": examples})
    losses = np.array(
        [by_hand(subject, encode.encode_conversation(example, subject.tokenizer)) for example in examples]
    )
    mean = losses[:, 0].sum() / losses[:, 1].sum()
    assert scores["loss"].value == pytest.approx(mean, rel=1e-4)
    assert scores["perplexity"].value == pytest.approx(np.exp(mean), rel=1e-3)
    assert scores["loss"].low < mean < scores["loss"].high
    assert scores["loss"].better == "lower"
    assert scores["loss"].count == 8


def test_general_text_is_cut_to_what_a_short_model_takes(general):
    gpt2 = Random(architecture="gpt2", config={"n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2})
    short = NetworkPredictor(gpt2.network(), gpt2.tokenizer, ChatPrompt())
    losses, cut = text_losses(short, [20 * example["text"] for example in general], length=512)
    assert cut == len(general)
    assert set(losses[:, 1]) == {63.0}, "the first of 64 tokens is given"


def test_general_loss_is_the_mean_over_the_tokens_of_the_texts_that_count(subject, examples, general):
    scores = evaluation(general, general_length=20)(subject, {"test": examples})
    whole = [encode.encode_text(example, subject.tokenizer, end=False) for example in general]
    losses = np.array([by_hand(subject, type(each)(each.ids[:20], each.weights[:20])) for each in whole])
    assert scores["general_loss"].value == pytest.approx(losses[:, 0].sum() / losses[:, 1].sum(), rel=1e-4)
    assert scores.counts["general: texts cut"] == 8
    assert scores.counts["general: texts evaluated"] == 8


def test_forgetting_is_seen_and_a_model_that_did_not_change_is_not_distinguishable(subject, examples, general):
    evaluate = evaluation(general)
    before = evaluate(subject, {"test": examples})
    same = before.compare(evaluate(subject, {"test": examples}))
    assert {difference.verdict for difference in same.values()} == {"not distinguishable"}
    assert same["general_loss"].change.value == 0
    with torch.no_grad():
        for weight in subject.network.parameters():
            weight *= 1.5
    assert before.compare(evaluate(subject, {"test": examples}))["general_loss"].verdict == "worse"


def test_a_class_is_the_label_that_the_model_finds_most_probable(subject, examples):
    scores = evaluation(task=classification())(subject, {"test": examples})
    questions = [example["messages"][:1] for example in examples]
    chosen = subject.score_labels(questions, ["happy", "unhappy"]).argmax(1)
    right = np.array([number % 2 for number in range(8)])
    assert scores["accuracy"].value == (chosen == right).mean()
    assert scores.counts["test: labels"] == 2


def test_labels_come_from_the_whole_set_also_where_few_examples_are_asked(subject, examples):
    examples[0]["messages"][1]["content"] = "indifferent"
    scores = evaluation(task=classification(), examples=3)(subject, {"test": examples})
    assert scores.counts["test: labels"] == 3
    assert scores.counts["test: examples evaluated"] == 3
    assert scores.counts["test: examples left out"] == 5


def test_an_answer_outside_the_given_labels_is_named_with_its_line(subject, examples):
    with pytest.raises(DataError, match="'unhappy' is an answer of the data") as error:
        evaluation(task=classification(labels=["happy", "sad"]))(subject, {"test": examples})
    assert error.value.where == "bows.jsonl:2"


def test_free_answers_are_no_labels(subject, examples):
    with pytest.raises(DataError, match="2 different answers are too many"):
        evaluation(task=classification(most_labels=1))(subject, {"test": examples})


def test_generation_compares_what_the_model_writes(subject, examples):
    task = Generation(metrics={"exact_match": ExactMatch(normalise=False)}, max_new_tokens=5)
    questions = [example["messages"][:1] for example in examples]
    for example, text in zip(examples, subject.generate(questions, Sampling(max_new_tokens=5)), strict=True):
        example["messages"][1]["content"] = text.strip() or "?"
    examples[0]["messages"][1]["content"] = "something else"
    scores = evaluation(task=task, samples=2)(subject, {"test": examples})
    assert scores["exact_match"].value == 7 / 8
    assert [sample.reference for sample in scores.samples] == [e["messages"][1]["content"] for e in examples[:2]]
    assert scores.samples[1].output == scores.samples[1].reference
    assert scores.counts["test: answers cut after 5 tokens"] == 8


def test_samples_are_written_also_where_the_task_does_not_write(subject, examples):
    scores = evaluation(task=classification(), samples=3, sample_tokens=4)(subject, {"test": examples})
    assert len(scores.samples) == 3
    assert scores.samples[0].conversation == examples[0]["messages"][:1]
    assert scores.samples[0].output.endswith(" …")


def test_examples_without_an_answer_are_counted_or_refused(subject, examples):
    examples.append({"messages": [*examples[0]["messages"], {"role": "user", "content": "Why?"}], "where": "x:9"})
    scores = evaluation(task=classification())(subject, {"test": examples})
    assert scores.counts["test: examples without an answer"] == 1
    assert scores["accuracy"].count == 8
    with pytest.raises(DataError, match="nothing to compare with"):
        evaluation(task=classification())(subject, {"test": examples[-1:]})


def test_every_model_meets_the_same_examples(subject_of, examples):
    evaluate = evaluation(examples=4)
    first, second = (evaluate(subject_of(seed), {"test": examples}) for seed in (0, 1))
    assert first.measurements["loss"].examples == second.measurements["loss"].examples
    assert first["loss"].count == 4


def test_further_sets_carry_their_names(subject, examples):
    scores = evaluation()(subject, {"test": examples[:4], "hard": examples[4:]})
    assert list(scores) == ["loss", "perplexity", "hard/loss", "hard/perplexity"]


def test_sets_and_general_text_must_hold_something(subject, examples):
    with pytest.raises(DataError, match="'test' has no examples"):
        evaluation()(subject, {"test": []})
    with pytest.raises(DataError, match="no record with `text`"):
        evaluation([{"messages": []}])(subject, {"test": examples})


def test_a_broken_network_is_named_and_its_mode_put_back(subject, examples):
    subject.network.train()
    evaluation()(subject, {"test": examples})
    assert subject.network.training
    with torch.no_grad():
        subject.network.get_input_embeddings().weight[10:] = float("nan")
    with pytest.raises(NumericsError, match="8 of 8 evaluated examples is not finite") as error:
        evaluation()(subject, {"test": examples})
    assert error.value.where == "bows.jsonl:1"
    assert subject.network.training


def test_scores_that_were_saved_compare_as_those_in_memory(subject, subject_of, examples, general, tmp_path):
    evaluate = evaluation(general, task=classification(), samples=1, sample_tokens=2)
    before, after = evaluate(subject, {"test": examples}), evaluate(subject_of(1), {"test": examples})
    before.save(tmp_path / "before")
    loaded = Scores.load(tmp_path / "before", evaluate.reductions())
    assert loaded.as_json() == before.as_json() | {"seconds": loaded.seconds}
    assert loaded.compare(after) == before.compare(after)
    with pytest.raises(DataError, match=r"'accuracy' in .* is none of this evaluation's"):
        Scores.load(tmp_path / "before", evaluation().reductions())


def test_models_side_by_side_are_compared_with_the_first(subject_of, examples, general):
    loaded = []

    def load(seed, vocabulary=400):
        loaded.append(seed)
        return subject_of(seed, vocabulary)

    models = {"a": lambda: load(0), "b": lambda: load(1), "other words": lambda: load(2, 300)}
    found = side_by_side(models, evaluation(general, task=classification()), {"test": examples})
    assert loaded == [0, 1, 2]
    assert set(found.changes()) == {"b", "other words"}
    assert set(found.changes()["b"]) == {
        "accuracy",
        "macro_f1",
        "loss",
        "perplexity",
        "general_loss",
        "general_perplexity",
    }
    assert "accuracy" in found.changes()["other words"]
    assert "general_loss" not in found.changes()["other words"]
    (warning,) = [line for line in found.warnings() if line.startswith("general_loss")]
    assert warning == (
        "general_loss of other words and a cannot be compared: their tokenizers cut the same text differently."
    )
    assert found.as_json()["models"]["a"]["scores"]["loss"]["count"] == 8


def test_nothing_about_the_examples_is_changed(subject, examples, general):
    kept = copy.deepcopy((examples, general))
    evaluation(general, task=classification(), samples=2, sample_tokens=2)(subject, {"test": examples})
    assert (examples, general) == kept


@given(weights=st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=6), perplexity=st.booleans())
def test_a_mean_over_nothing_is_counted_and_is_no_score(weights, perplexity):
    statistics = np.array([[0.5 * weight, weight] for weight in weights])
    measured = Measurement(statistics, exponential_ratio if perplexity else ratio, "lower", "digest")
    scores = Scores(measurements={"loss": measured})
    scores.set_aside_unscored()
    assert ("loss" in scores.measurements) == any(weights)
    assert scores.counts == ({} if any(weights) else {"loss: examples without a value": len(weights)})
