"""Selections of in-context examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.errors import DataError, RecipeError
from luthier.inference.bm25 import Bm25, TfIdf, cosine
from luthier.inference.embeddings.hashed import Hashed
from luthier_prompting.prompt_template import PromptTemplate
from luthier_prompting.selections.alike import Alike
from luthier_prompting.selections.balanced import Balanced
from luthier_prompting.selections.diverse import Diverse
from luthier_prompting.selections.nearest import Nearest
from luthier_prompting.selections.ordered import Ordered
from luthier_prompting.selections.random import Random


def pool_of(reviews):
    return [PromptTemplate("", None).demonstration(each) for each in reviews]


def fitted(selection, reviews):
    selection.learn(pool_of(reviews))
    return selection


def test_chance_is_the_same_for_all_questions_unless_it_is_to_be_drawn_anew(reviews):
    once, each = fitted(Random(), reviews), fitted(Random(each=True), reviews)
    assert list(once("a")) == list(once("b")) == list(fitted(Random(), reviews)("c"))
    assert list(once("a")) != list(fitted(Random(seed=1), reviews)("a"))
    assert list(each("a")) == list(each("a")) != list(each("b"))
    assert sorted(each("a")) == list(range(6))
    assert once.fixed
    assert not each.fixed


def test_balanced_takes_labels_in_turn(reviews):
    order = list(fitted(Balanced(), reviews[:5])("?"))
    labels = [reviews[number]["label"] for number in order]
    assert set(labels[:2]) == set(labels[2:4]) == {"happy", "unhappy"}
    assert labels[4] == "happy", "the label with more examples has the rest"
    assert sorted(order) == list(range(5))


def test_answers_that_all_differ_cannot_be_balanced(reviews):
    with pytest.raises(DataError, match="All 2 answers differ"):
        fitted(Balanced(), reviews[:2])


def test_ordered_is_the_order_of_the_data_or_of_length(reviews):
    assert list(fitted(Ordered(), reviews)("?")) == list(range(6))
    assert list(fitted(Ordered(by="length"), reviews)("?"))[:2] == [1, 3]


def test_bm25_scores_are_those_of_the_formula():
    texts = ["violin bow bow", "violin", "cello case strings"]
    n, average, k1, b = 3, 7 / 3, 1.5, 0.75

    def score(frequency, documents, length):
        rarity = math.log(1 + (n - documents + 0.5) / (documents + 0.5))
        return rarity * frequency / (frequency + k1 * (1 - b + b * length / average))

    scores = Bm25(texts, k1=k1, b=b).scores("Violin bow?")
    assert scores == pytest.approx([score(1, 2, 3) + score(2, 1, 3), score(1, 2, 1), 0], rel=1e-5)


def test_nearest_ranks_by_shared_words_and_a_question_without_any_keeps_the_order(reviews):
    near = fitted(Nearest(), reviews)
    assert list(near("What of this cello?"))[:2] == [3, 4]
    assert list(near("xyzzy")) == list(near("")) == list(range(6))
    assert near.best_last


def test_alike_ranks_by_the_product_of_vectors(reviews):
    embedding = Hashed(width=512)
    alike = fitted(Alike(embedding=embedding), reviews)
    products = embedding([each["text"] for each in reviews]) @ embedding(["The best cello"])[0]
    assert list(alike("The best cello")) == sorted(range(6), key=lambda number: -products[number])
    assert next(iter(alike("The best cello"))) == 4


def test_the_cosine_of_weighted_words_is_that_of_the_formula():
    tf_idf = TfIdf(["bow bow violin", "violin"])
    bow, violin = 2 * (math.log(3 / 2) + 1), math.log(3 / 3) + 1
    assert cosine(tf_idf.texts[0], tf_idf.texts[1]) == pytest.approx(violin / math.hypot(bow, violin))
    assert cosine(tf_idf.of("violin"), tf_idf.texts[1]) == pytest.approx(1)
    assert cosine(tf_idf.of(""), tf_idf.texts[1]) == 0


def test_diverse_examples_are_chosen_by_maximal_marginal_relevance(reviews):
    texts = ["violin bow case", "violin bow case", "violin strings", "drum"]
    pool = pool_of([{**reviews[0], "text": text} for text in texts])
    words, question = TfIdf(texts), "violin bow"
    diverse, near = Diverse(relevance=0.5), Diverse(relevance=1.0)
    diverse.learn(pool)
    near.learn(pool)
    assert list(near(question))[:2] == [0, 1]
    asked = words.of(question)
    gains = {
        number: 0.5 * cosine(asked, words.texts[number]) - 0.5 * cosine(words.texts[0], words.texts[number])
        for number in (1, 2, 3)
    }
    assert list(diverse(question))[:2] == [0, max(gains, key=gains.__getitem__)]
    assert gains[2] > gains[1], "the copy of the first is worth less than another text"


def test_a_relevance_outside_its_range_is_refused():
    with pytest.raises(RecipeError, match=r"prompt\.selection\.relevance is 2"):
        Diverse(relevance=2)


def test_probabilities_among_labels_are_those_of_the_labels_alone():
    from luthier_prompting.calibrated import label_probabilities

    probabilities = label_probabilities(np.log([[0.1, 0.3], [0.002, 0.002]]))
    assert probabilities == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
