"""A setting that names something of the data, the model or the recipe refuses a name that is not there."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luthier.cli.session import catalog
from luthier.config.signatures import signature
from luthier.data.ledger import findings
from luthier.data.ledger.entries import ErrorName
from luthier.errors import DataError, RecipeError
from luthier.errors.names import check_names
from luthier.plugins.registry import Plugins
from tests.framework.cli.conftest import Ended, here, luthier, session_cache, write  # noqa: F401

WRONG = "nowhere_at_all"
CHAT = ("data=jsonl", "data.file=chat.jsonl", "data.splits.test=0.3")
CLASSES = ("data=jsonl", "data.file=classes.jsonl", "data.splits.test=0.3", "data/format=classification")
PAIRS = ("data=jsonl", "data.file=asked.jsonl", "data.splits.test=0.3", "data/format=pairs")
RATED = ("data=jsonl", "data.file=rated.jsonl", "data.splits.test=0.3", "data/format=rated",
         "data.format.intervals={low: [null, 2], high: [2, null]}", "data.format.rating=stars")  # fmt: skip
TWO = ("+model@model.members.a=tiny", "+model@model.members.b=tiny", "stages=[evaluate]")
MERGED = ("model=merge", "+model@model.models.a=tiny", "+model@model.models.b=tiny")
REWARDED = ("method=grpo", "batch.packing=false", "score=reward", *CHAT)
DISTILLED = ("method=distill", "model@method.teacher=tiny", *CHAT)
FOUND = ("prompt=retrieval", "prompt/search=bm25", "prompt/documents=files", "prompt.documents.path=docs.jsonl", *CHAT)
SEARCHED = ("prompt=searched", "stages=[search]", "+prompt/proposals@prompt.proposals.b=pattern")

NAMING: dict[tuple[str, str], list[tuple[str, ...]]] = {
    ("adaptation", "targets"): [
        ("adaptation=lora", f"adaptation.targets=[{WRONG}]"),
        ("adaptation=lora", f"adaptation.targets=[q_proj,{WRONG}]"),
    ],
    ("adaptation", "keys_values"): [("adaptation=ia3", f"adaptation.keys_values=[self_attn.k_proj,{WRONG}]")],
    ("adaptation", "feed_forward"): [("adaptation=ia3", f"adaptation.feed_forward=[mlp.down_proj,{WRONG}]")],
    ("adaptation", "also"): [("adaptation=freeze", f"adaptation.also=['*norm*','*{WRONG}*']")],
    ("adaptation", "never"): [("adaptation=freeze", f"adaptation.never=['*norm*','*{WRONG}*']")],
    ("data", "rename"): [(*CHAT, f"data.rename={{extra: more, {WRONG}: text}}")],
    ("data", "rating"): [("data=rated_pairs", "data.texts.file=chat.jsonl", "data.ask=Write.", "method=dpo",
                          f"data.rating={WRONG}")],
    ("data", "weights"): [("data=mixture", "+data@data.sources.a=tiny", f"data.weights={{a: 1, {WRONG}: 1}}")],
    ("data/format", "text"): [(*CLASSES, f"data.format.text={WRONG}")],
    ("data/format", "label"): [(*CLASSES, f"data.format.label={WRONG}")],
    ("data/format", "labels"): [("data=jsonl", "data.file=classes.jsonl", "data.splits.test=0.3",
                                 "data/format=multi_label", f"data.format.labels={WRONG}")],
    ("data/format", "spans"): [("data=jsonl", "data.file=classes.jsonl", "data.splits.test=0.3", "data/format=spans",
                                f"data.format.spans={WRONG}")],
    ("data/format", "tokens"): [("data=jsonl", "data.file=classes.jsonl", "data.splits.test=0.3",
                                 "data/format=tagged_tokens", f"data.format.tokens={WRONG}")],
    **{("data/format", name): [(*PAIRS, f"data.format.{name}={WRONG}")] for name in ("query", "document", "negatives")},
    ("data/format", "score"): [("data=jsonl", "data.file=graded.jsonl", "data.splits.test=0.3",
                                "data/format=graded_pairs", f"data.format.score={WRONG}")],
    ("data/format", "names"): [(*CLASSES, f"data.format.names=[good,{WRONG}]")],
    ("data/format", "rating"): [(*RATED[:-1], f"data.format.rating={WRONG}")],
    ("data/format", "column"): [("method=cpt", *CHAT, "data/format=turns", f"data.format.column={WRONG}")],
    ("data/format", "role"): [("method=cpt", *CHAT, "data/format=turns", f"data.format.role={WRONG}")],
    ("data/format", "title"): [(*CHAT, "data/format=fill_in", f"data.format.title={WRONG}")],
    ("data/format", "content"): [(*CHAT, "data/format=fill_in", f"data.format.content={WRONG}")],
    ("data/format", "id"): [(*CHAT, "data/format=fill_in", f"data.format.id={WRONG}")],
    ("data/reader", "columns"): [("data=csv", "data.file=some.csv", f"data.reader.columns=[prompt,completion,{WRONG}]",
                                  "data/format=prompt_completion")],
    ("data/reader", "glob"): [("data=folder", "data.file=.", f"data.reader.glob=*.{WRONG}")],
    ("method", "teacher_weights"): [(*DISTILLED, f"method.teacher_weights={{teacher: 1, {WRONG}: 1}}")],
    ("method/objective", "class_weights"): [("method=classify", *CLASSES,
                                             f"method.objective.class_weights={{good: 1, {WRONG}: 1}}")],
    ("method/objective", "column"): [("method=classify", *RATED, "method/objective=number", "score=absolute_error",
                                      f"method.objective.column={WRONG}")],
    ("method/objective", "rating"): [(*RATED, "method=reward_model", "method/objective=rating", "score=rating_error",
                                      f"method.objective.rating={WRONG}")],
    ("method/objective", "labels"): [(*CLASSES, "method=reward_model", "method/objective=rating_class",
                                      "score=label_accuracy", f"method.objective.labels=[good,{WRONG}]")],
    ("method/objective", "weights"): [("method=dpo", "data.file=pairs.jsonl", *CHAT[:1], "method/objective=mixture",
        "+method/objective@method.objective.objectives.a=sigmoid", f"method.objective.weights={{a: 1, {WRONG}: 1}}")],
    ("method/reward", "column"): [
        (*REWARDED, f"method/reward={answer}", f"method.reward.column={WRONG}")
        for answer in ("exact_match", "json_schema", "number")
    ],
    ("method/reward", "checks"): [(*REWARDED, "method/reward=instruction_checks",
                                   f"method.reward.checks={{most_words: 5, {WRONG}: 1}}")],
    ("method/reward", "weights"): [(*REWARDED, "method/reward=weighted",
                                    "+method/reward@method.reward.rewards.a=length",
                                    f"method.reward.weights={{a: 1, {WRONG}: 1}}")],
    ("method/reward", "wanted"): [(*REWARDED, "method/reward=classifier", "method.reward.path=x",
                                   "method.reward.labels=[a,b]", f"method.reward.wanted={WRONG}")],
    ("method/sequences", "shares"): [(*DISTILLED, "method/sequences=mixed",
        "+method/sequences@method.sequences.sequences.a=data", f"method.sequences.shares={{a: 1, {WRONG}: 1}}")],
    ("method/signal", "weights"): [(*DISTILLED, "method/signal=weighted",
        "+method/signal@method.signal.signals.a=forward_kl", f"method.signal.weights={{a: 1, {WRONG}: 1}}")],
    ("model", "architecture"): [("model=random", f"model.architecture={WRONG}")],
    ("model", "config"): [("model=random", f"model.config={{hidden_size: 64, {WRONG}: 2}}")],
    ("model", "attn_implementation"): [(f"model.attn_implementation={WRONG}",)],
    ("model", "chat_template"): [(f"model.chat_template={WRONG}",)],
    ("model", "template_settings"): [(f"model.template_settings={{{WRONG}: true}}",)],
    ("model", "base"): [(*MERGED, f"model.base={WRONG}")],
    ("model", "weights"): [("model=vote", *TWO, f"model.weights={{a: 1, {WRONG}: 2}}")],
    ("model", "examples"): [("model=router", *TWO, f"model.examples={{a: [x], b: [y], {WRONG}: [z]}}")],
    ("model/combining", "weights"): [("model=ensemble", *TWO, f"model.combining.weights={{a: 1, {WRONG}: 1}}")],
    ("model/combining", "expert"): [("model=ensemble", *TWO, "model/combining=contrastive",
                                     f"model.combining.expert={WRONG}", "model.combining.amateur=b")],
    ("model/combining", "amateur"): [("model=ensemble", *TWO, "model/combining=contrastive",
                                      f"model.combining.amateur={WRONG}", "model.combining.expert=b")],
    ("model/merging", "weights"): [(*MERGED, f"model.merging.weights={{a: 1, {WRONG}: 1}}")],
    ("model/merging", "densities"): [(*MERGED, "model.base=a", "model/merging=ties",
                                      f"model.merging.densities={{b: 0.5, {WRONG}: 0.5}}")],
    ("model/merging", "slices"): [(*MERGED, "model/merging=passthrough",
        f"model.merging.slices=[{{model: a, layers: [0, 1]}}, {{model: {WRONG}, layers: [1, 2]}}]")],
    ("prompt", "template"): [("prompt=instruction", f'prompt.template="{{{{ text }}}} {{{{ {WRONG} }}}}"')],
    ("prompt/documents", "columns"): [
        (*FOUND, f"prompt.documents.columns={{text: body, title: {WRONG}}}"),
        (*FOUND, f"prompt.documents.columns={{text: body, {WRONG}: head}}"),
    ],
    ("prompt/search", "weights"): [(*FOUND, "prompt/search=hybrid", f"prompt.search.weights={{words: 1, {WRONG}: 1}}")],
    ("prompt/proposals", "sentence"): [(*SEARCHED,
        f'prompt.proposals.b.sentence="{{role}} {{{WRONG}}}"', "prompt.proposals.b.words={role: [A]}")],
    ("prompt/proposals", "words"): [(*SEARCHED,
        'prompt.proposals.b.sentence="{role}"', f"prompt.proposals.b.words={{role: [A], {WRONG}: [B]}}")],
    ("batch", "allow"): [(f"batch.allow=[double_bos,{WRONG}]",)],
    ("", "score"): [(f"score={WRONG}",)],
    ("", "stages"): [(f"stages=[fit,{WRONG}]",)],
}  # fmt: skip
"""Settings that name what is there, with what gives them a name that is not, alone or beside a good one."""

ELSEWHERE = {
    ("data/filter", "languages"): "tests/plugins/cpt: it needs a package",
    ("data", "split"): "tests/framework/data_sources: of a data set of a hub",
    ("data", "subset"): "of a data set of a hub, which the hub's library refuses",
    ("data", "template"): "tests/plugins/prompting: of Bedrock",
    ("data", "member"): "of a package, which is fetched",
    ("prompt/documents", "member"): "of a package, which is fetched",
    ("data/format", "metadata"): "a filter: an invocation that it leaves out is a bad row",
    ("data/format", "model"): "a filter: an invocation that it leaves out is a bad row",
    ("evaluation/task", "labels"): "a label that no example has is counted, since a set may lack one",
    ("method/reward", "labels"): "those of an earlier run, which `wanted` is one of",
    ("method", "offline_teacher"): "a folder",
    ("evaluation/metric", "prompt"): "the words that a judge is given",
    ("method", "labels"): "a label that no training example has is said in a warning",
}
"""Settings that name something, and why they are not tried here."""

FREE = {
    # texts that are given to a model, compared with an answer or shown
    "absent", "ask", "before_question", "before_text", "instruction", "instructions", "mark", "marker", "nothing",
    "pattern", "query_prompt", "document_prompt", "read", "rubric", "separator", "stop", "system", "words", "delimiter",
    "quote", "schema",
    # places: a path, an address, a package, which are refused where they are not
    "address", "file", "id", "model", "name", "package", "path", "requirement", "revision", "runs", "sha256",
    "tokenizer", "url", "weights", "text", "quarantine",
    # names that a recipe gives, and parts under them
    "against", "filters", "format", "intervals", "members", "metrics", "models", "objectives", "proposals", "rewards",
    "searches", "sequences", "signals", "sources", "teachers",
    # of a service, the machine or the model card
    "devices", "entity", "group", "key", "licence", "project", "secret", "tags",
}  # fmt: skip
"""Settings of texts that name nothing that is there."""


def _takes_text(kind: Any) -> bool:
    if kind is str:
        return True
    if get_origin(kind) is dict:
        return any(map(_takes_text, get_args(kind)))
    return get_origin(kind) is not Literal and any(map(_takes_text, get_args(kind)))


def _settings_of_texts() -> Iterator[tuple[str, str]]:
    """(question, setting) of each setting of an installed answer that takes a text, a list of texts or named values."""
    for answer in catalog(Plugins()):
        if answer.is_part and answer.targets:
            of_part = signature(answer.targets[0]).settings
            yield from ((answer.question, name) for name, setting in of_part.items() if _takes_text(setting.type))


def test_each_setting_of_texts_is_known_to_name_something_or_nothing() -> None:
    """A new one belongs into NAMING with what is refused, or into FREE where it names nothing that is there."""
    known = {*NAMING, *ELSEWHERE}
    unknown = {key for key in _settings_of_texts() if key not in known and key[1] not in FREE}
    assert not unknown


@pytest.fixture
def data(write: Callable[[str, str], Path]) -> None:  # noqa: F811
    def rows(name: str, *each: dict[str, Any]) -> None:
        write(name, "".join(json.dumps(row) + "\n" for row in each))

    numbers = range(12)
    turns = [[{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"it is {n}"}] for n in numbers]
    rows("chat.jsonl", *({"messages": both, "extra": str(n)} for n, both in enumerate(turns)))
    rows("classes.jsonl", *({"text": f"a text, {n}", "label": ("good", "bad")[n % 2]} for n in numbers))
    rows("rated.jsonl", *({"text": f"a text, {n}", "stars": float(n % 5)} for n in numbers))
    rows("pairs.jsonl", *({"prompt": f"q {n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in numbers))
    rows("asked.jsonl", *({"query": f"q {n}", "document": f"yes {n}"} for n in numbers))
    rows("graded.jsonl", *({"sentence1": f"q {n}", "sentence2": f"yes {n}", "score": n / 12} for n in numbers))
    rows("docs.jsonl", *({"id": f"d{n}", "head": f"T{n}", "body": f"The thing {n} is in room {n}."} for n in numbers))
    write("some.csv", "a,b\n" + "".join(f"q{n},a{n}\n" for n in numbers))


CASES = [
    pytest.param(words, id=f"{key[0]}.{key[1]}-{n}") for key, each in NAMING.items() for n, words in enumerate(each)
]


@pytest.mark.parametrize("words", CASES)
def test_a_name_that_matches_nothing_is_refused_by_name_in_the_plan(
    words: tuple[str, ...], data: None, luthier: Callable[..., Ended]  # noqa: F811
) -> None:  # fmt: skip
    setting = next(word for word in words if WRONG in word).partition("=")[0].rpartition(".")[2]
    end = luthier("plan", *words, "batch.length=256", "evaluation.general_examples=0", "--json")
    found = [end.error] if end.code and not end.out else end.record["problems"]
    assert end.code in (RecipeError.code, DataError.code), end.err
    assert found
    said = [f"{one['where']} {one['message']} {one['hint']}" for one in found]
    assert any(WRONG in one and setting in one for one in said), said


@example(known=["/"], names=["0"])
@given(
    known=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True),
    names=st.lists(st.text(min_size=1, max_size=8), max_size=4),
)
def test_names_are_refused_exactly_where_one_is_not_known(known: list[str], names: list[str]) -> None:
    strange = [name for name in names if name not in known]
    with pytest.raises(RecipeError) if strange else nullcontext() as caught:
        check_names(names, known, kind="part", where="some.setting")
    if strange:
        assert repr(strange[0]) in caught.value.message
        assert caught.value.where == "some.setting"
        assert any(name in caught.value.hint for name in known)


def test_the_errors_that_a_recipe_may_allow_are_those_that_there_are() -> None:
    calls = [node for node in ast.walk(ast.parse(Path(findings.__file__).read_text())) if isinstance(node, ast.Call)]
    made = [[one.value for one in call.args[:2] if isinstance(one, ast.Constant)] for call in calls
            if isinstance(call.func, ast.Name) and call.func.id == "Finding"]  # fmt: skip
    assert {name for severity, name in made if severity == "error"} == set(get_args(ErrorName))
