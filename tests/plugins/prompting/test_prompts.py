"""Prompt templates and few-shot prompts."""

from __future__ import annotations

import json

import pytest

from luthier.data import encoding as encode
from luthier.errors import DataError, RecipeError, Refused
from luthier.models.opening import opened
from luthier_prompting.few_shot import FewShot
from luthier_prompting.instruction import Instruction
from luthier_prompting.selections.balanced import Balanced
from luthier_prompting.selections.nearest import Nearest
from luthier_prompting.selections.ordered import Ordered
from tests.plugins.prompting.conftest import review

QUESTION = {"messages": [{"role": "user", "content": "How is it?"}]}


def turns(example) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in example["messages"]]


def shown(reviews, tokenizer, selection=None, **settings) -> FewShot:
    prompt = FewShot(selection=selection or Ordered(), **settings)
    prompt.learn(reviews, tokenizer)
    return prompt


def test_a_system_prompt_comes_first_and_a_conversations_own_follows_it(reviews):
    prompt = Instruction(system="Be brief.")
    assert turns(prompt(QUESTION)) == [("system", "Be brief."), ("user", "How is it?")]
    own = {"messages": [{"role": "system", "content": "Be kind."}, *QUESTION["messages"]]}
    assert turns(prompt(own))[0] == ("system", "Be brief.\n\nBe kind.")
    assert turns(own)[0] == ("system", "Be kind."), "the given example stays as it is"


def test_a_template_knows_question_text_and_columns(reviews):
    prompt = Instruction(template="{{ text }} ({{ stars }})")
    assert turns(prompt(reviews[1])) == [("user", "A warm violin (5)"), ("assistant", "happy")]
    assert turns(Instruction(template="{{ question }}!")(QUESTION)) == [("user", "How is it?!")]


@pytest.mark.parametrize("name", ["label", "messages", "where"])
def test_a_template_never_sees_the_answer(name, reviews):
    with pytest.raises(RecipeError, match=f"names '{name}', which the example does not have"):
        Instruction(template=f"{{{{ {name} }}}}")(reviews[0])


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ question.__class__.__mro__ }}",
        "{% for a in range(question | length * 19999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    ],
)
def test_a_hostile_template_is_refused(bomb):
    with pytest.raises(Refused, match="The template of the prompt"):
        Instruction(template=bomb)


def test_an_invalid_template_and_an_empty_prompt_are_refused():
    with pytest.raises(RecipeError, match="not valid Jinja"):
        Instruction(template="{% if %}")
    with pytest.raises(RecipeError, match="neither a system prompt nor a template"):
        Instruction()


def test_examples_are_earlier_turns_that_no_loss_counts(reviews, tokenizer):
    prompt = shown(reviews, tokenizer, shots=2, system="Judge.")
    prompted = prompt(review("It hums", "happy"))
    assert [role for role, _ in turns(prompted)] == ["system", *["user", "assistant"] * 3]
    assert turns(prompted)[1:3] == [("user", "Happy or not?\n\nThe bow broke at once"), ("assistant", "unhappy")]
    row, alone = (
        encode.encode_conversation(prompted, tokenizer),
        encode.encode_conversation(review("It hums", "happy"), tokenizer),
    )
    assert row.weights.sum() == alone.weights.sum()
    assert (row.ids[row.weights > 0] == alone.ids[alone.weights > 0]).all()


def test_the_nearest_example_stands_next_to_the_question(reviews, tokenizer):
    prompt = shown(reviews, tokenizer, Nearest(), shots=2)
    texts = [one.text for one in prompt.shown({"messages": [{"role": "user", "content": "What of this cello?"}]})]
    assert texts == ["The best strings for a cello", "My cello sings"]


def test_an_example_is_not_shown_its_own_answer(reviews, tokenizer):
    twin = review("The  bow broke at once", "happy")
    for selection in (Ordered(), Nearest()):
        prompt = shown([*reviews, twin], tokenizer, selection, shots=7, tokens=2000)
        texts = [one.text.split() for one in prompt.shown(reviews[0])]
        assert len(texts) == 5
        assert ["The", "bow", "broke", "at", "once"] not in texts


def test_only_the_training_split_is_ever_shown(reviews, tokenizer):
    with pytest.raises(DataError, match="held out"):
        shown([*reviews, review("Kept for later", "happy", split="test")], tokenizer)


def test_examples_take_no_more_tokens_than_they_may(reviews, tokenizer):
    long = review("la " * 300, "happy")
    for tokens in (60, 90, 150):
        prompt = shown([long, *reviews], tokenizer, shots=6, tokens=tokens)
        bare = len(encode.encode_prompt({"messages": QUESTION["messages"]}, tokenizer))
        used = len(encode.encode_prompt(prompt(QUESTION), tokenizer)) - bare
        left_out = [one for one in prompt.pool if one not in prompt.shown(QUESTION)]
        assert 0 < used <= tokens
        assert min(prompt._pool.cost(prompt.pool.index(one)) for one in left_out) > tokens - used
        assert "1 questions were shown fewer than 6 examples" in prompt.warnings[0]


def test_a_template_with_a_place_for_examples_keeps_them_in_the_questions_turn(reviews, tokenizer):
    template = "{% for one in examples %}{{ one.text }} -> {{ one.answer }}\n{% endfor %}{{ text }} ->"
    prompt = shown(reviews, tokenizer, shots=2, template=template)
    assert turns(prompt(review("It hums", "happy"))) == [
        ("user", "The bow broke at once -> unhappy\nA warm violin -> happy\nIt hums ->"),
        ("assistant", "happy"),
    ]
    assert prompt.opening() is None


def test_a_template_without_one_writes_every_question(reviews, tokenizer):
    prompt = shown(reviews, tokenizer, shots=1, template="Stars {{ stars }}: {{ text }}")
    messages = turns(prompt(review("It hums", "happy", stars=3)))
    assert messages[0] == ("user", "Stars 1: The bow broke at once")
    assert messages[2] == ("user", "Stars 3: It hums")


def test_only_single_questions_are_shown_and_the_others_are_counted(reviews, tokenizer):
    talk = {"messages": [*reviews[0]["messages"], *reviews[1]["messages"]], "split": "train"}
    prompt = shown([talk, *reviews], tokenizer, shots=1)
    assert prompt.warnings == ["1 training examples are no single question with its answer and are never shown."]
    with pytest.raises(DataError, match="no in-context example can be shown"):
        shown([talk], tokenizer)
    with pytest.raises(DataError, match="has no `messages`"):
        prompt({"text": "plain"})


def test_of_many_training_examples_each_is_as_likely_to_be_kept(reviews, tokenizer):
    many = [review(f"text {number}", "happy") for number in range(400)]
    prompt = shown(many, tokenizer, pool=100)
    numbers = [int(one.text.split()[1]) for one in prompt.pool]
    assert len(numbers) == 100
    assert numbers == sorted(numbers)
    assert 150 < sum(numbers) / 100 < 250
    assert "Of 400 training examples a random sample of 100" in prompt.warnings[-1]


@pytest.mark.parametrize("selection", [Balanced, Nearest])
def test_an_artifact_shows_what_the_run_showed(selection, reviews, tokenizer, tmp_path):
    reviews[2] = review("Two\u2028lines of a cello", "happy")
    prompt = shown(reviews, tokenizer, selection(), shots=2)
    prompt.save(tmp_path)
    loaded = FewShot(selection=selection(), shots=2)
    with pytest.raises(RecipeError, match="has seen no training split"):
        loaded(QUESTION)
    loaded.load(tmp_path, tokenizer)
    assert loaded(QUESTION) == prompt(QUESTION)
    stored = [json.loads(line) for line in (tmp_path / "examples.jsonl").open()]
    assert len(stored) == (2 if selection is Balanced else 6), "only what can be shown is in the artifact"
    assert "stars" not in str(stored)
    loaded.learn(reviews, tokenizer)
    assert loaded(reviews[0]) == prompt(reviews[0])


def test_what_is_the_same_for_every_question_becomes_part_of_the_chat_template(reviews, tokenizer):
    prompts = [
        shown(reviews, tokenizer, shots=2),
        shown([review('Café \\ {{ x }} "so" 🎻', "happy")], tokenizer, system="Say it:\n'yes'."),
        Instruction(system="Be brief."),
    ]
    own = [{"role": "system", "content": "Be kind."}, *QUESTION["messages"]]
    for prompt in prompts:
        for messages in (QUESTION["messages"], own):
            expected = tokenizer.apply_chat_template(prompt({"messages": messages})["messages"], tokenize=False)
            with opened(tokenizer, prompt.opening()):
                assert tokenizer.apply_chat_template(messages, tokenize=False) == expected
        assert tokenizer.chat_template.startswith("{%") or "messages" in tokenizer.chat_template
    assert shown(reviews, tokenizer, Nearest()).opening() is None
    assert Instruction(template="{{ question }}").opening() is None
