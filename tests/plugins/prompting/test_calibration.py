"""Contextual calibration, computed by hand."""

from __future__ import annotations

import numpy as np

from luthier.data.prompts import ChatPrompt
from luthier.evaluation.metrics.accuracy import Accuracy
from luthier.evaluation.questions import questions
from luthier_prompting.calibrated import ContextualCalibration
from luthier_prompting.few_shot import FewShot
from luthier_prompting.selections.ordered import Ordered

BIASED = {"happy": 0.9, "unhappy": 0.1}


class BiasedPredictor:
    """Prefers `happy` for every text, a little less so about a bow; records the questions."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    is_classifier = False

    def score_labels(self, conversations, labels):
        texts = [conversation[-1]["content"] for conversation in conversations]
        self.questions += texts
        happy = np.array([0.6 if "bow" in each else BIASED["happy"] for each in texts])
        return np.log(np.stack([happy if label == "happy" else 1 - happy for label in labels], 1))


def test_a_label_that_the_model_prefers_for_any_text_weighs_less(reviews):
    predictor, asked = BiasedPredictor(), questions(reviews, ChatPrompt())
    plain = predictor.score_labels([turn.conversation for turn in asked], ["happy", "unhappy"])
    assert (plain.argmax(1) == 0).all(), "uncalibrated, every review is happy"
    task = ContextualCalibration(metrics={"accuracy": Accuracy()})
    scores = task.scores(predictor, asked, ["happy", "unhappy"])
    expected = np.log([[0.6 / 0.9, 0.4 / 0.1]])
    np.testing.assert_allclose(scores[0] - scores[0, 0], expected[0] - expected[0, 0], rtol=1e-6)
    assert scores[0].argmax() == 1, "the broken bow is unhappier than nothing is"
    np.testing.assert_allclose(scores[1], np.log([1, 1]), atol=1e-6)


def test_content_free_texts_are_scored_in_the_prompt_and_once_for_equal_prompts(reviews, tokenizer):
    prompt = FewShot(selection=Ordered(), shots=1)
    prompt.learn(reviews[:1], tokenizer)
    predictor, asked = BiasedPredictor(), questions(reviews[1:], prompt)
    ContextualCalibration(metrics={}, nothing=("N/A", "")).scores(predictor, asked, ["happy", "unhappy"])
    blank = (
        predictor.questions[: -len(asked)]
        if predictor.questions[0].endswith("N/A")
        else predictor.questions[len(asked) :]
    )
    assert blank == ["Happy or not?\n\nN/A", "Happy or not?\n\n"]


def test_without_a_classification_the_whole_question_is_content_free(reviews):
    plain = [{"messages": each["messages"]} for each in reviews[:1]]
    (turn,) = questions(plain, ChatPrompt())
    assert turn.about("N/A") == [{"role": "user", "content": "N/A"}]
