"""A part that its contract does not allow is named as it is built, and what it gives back where it is taken."""

from __future__ import annotations

import pytest

from luthier.plugins.registry import Plugins

SIGNATURES = """
import functools
from collections.abc import Sequence

class FirstWord:
    metrics, writes = {}, True
    def __call__(self, questions, known): ...

class Silent:
    better = "higher"
    def reduce(self, totals): ...

class Wide(Silent):
    def statistics(self): ...

class Late:
    async def __call__(self, prompt, answers, example): ...

class Static:
    @staticmethod
    def __call__(prompt, answers, example): return [1.0 for _ in answers]

class Slotted:
    __slots__ = ("best",)
    def __init__(self, *, best: float = 1.0): self.best = best
    def __call__(self, prompt, answers, example, /): return [self.best for _ in answers]

def scored(prompt, answers): ...

def made(*, best: float = 1.0): return functools.partial(scored)

class Asked:
    def tokenizer(self): ...
    config = property(lambda self: None)
    def network(self): ...
    def lineage(self): ...

class Borrowed:
    def __getattr__(self, name): return getattr(FirstWord(), name)
"""
PLACE = "(strange-parts 0.3.1, __init__.py:"
MISFITS = {
    "evaluation/task=it FirstWord": [
        f"evaluation/task=it: FirstWord {PLACE}6)",
        "must take predictor, questions, known, and takes questions, known",
    ],
    "evaluation/metric=it Silent": [f"Silent {PLACE}10) has no method statistics(attempts), which a Metric must have"],
    "evaluation/metric=it Wide": [f"Wide.statistics {PLACE}15) must take attempts, and takes nothing"],
    "method/reward=it Late": [f"method/reward=it: Late {PLACE}17) is async, and must be a plain function"],
    "method/reward=it scored": [
        f"method/reward=it: scored {PLACE}29) takes prompt, answers, which nobody has while a recipe is built.",
        "_partial_: true",
    ],
    "method/reward=it made": [f"scored {PLACE}29) must take prompt, answers, example, and takes prompt, answers"],
    "model=it Asked": [f"Asked.tokenizer {PLACE}34) is a method, and must be an attribute: put @property before it"],
    "prompt=it FirstWord": ["has no method learn(examples, tokenizer): inherit Prompt, which has one"],
}


def words_for(question: str) -> list[str]:
    if question.startswith("method/reward"):
        return ["recipe=grpo", "debug=tiny", question]
    if question.startswith("evaluation/metric"):
        return ["recipe=demo", "debug=tiny", f"+{question.replace('metric=', 'metric@evaluation.task.metrics.mine=')}"]
    return ["recipe=demo", "debug=tiny", question]


@pytest.mark.parametrize("which", MISFITS)
def test_a_part_that_does_not_fit_its_contract_is_refused_before_anything_is_loaded(which, luthier, distribution):
    question, part = which.split()
    answer = {question.replace("=", "/"): f"# It.\n_target_: strange_parts.{part}\n"}
    distribution("strange-parts", SIGNATURES, plugin="strange", version="0.3.1", answers=answer)
    end = luthier("plan", *words_for(question), "--json")
    assert end.code == 7, (end.out, end.err)
    assert all(words in end.err + end.out for words in MISFITS[which]), end.err


@pytest.mark.parametrize("settings", ["Slotted\nbest: 1.0   # for all", "Static"])
def test_a_part_that_fits_in_another_style_is_taken(settings, luthier, distribution):
    answer = {"method/reward/it": f"# It.\n_target_: strange_parts.{settings}\n"}
    distribution("strange-parts", SIGNATURES, plugin="strange", answers=answer)
    assert luthier("plan", *words_for("method/reward=it")).code == 0


RETURNS = """
from luthier.api import LanguageModelMethod, NamedWeightsAdaptation, Prompt, Row, encode_conversation

class Forgetful(Prompt):
    def __call__(self, example): pass
    def opening(self): return []

class Bare(LanguageModelMethod):
    def encode(self, example, tokenizer): return Row((encode_conversation(example, tokenizer),))
    def loss(self, batch): return self.cross_entropy(batch).sum

class Listing(Bare):
    def encode(self, example, tokenizer): return [1, 2, 3]

class Vector(Bare):
    def loss(self, batch):
        loss = self.cross_entropy(batch)
        return type(loss)(loss.sum.expand(3), loss.weight)

class Detached(Bare):
    def loss(self, batch):
        loss = self.cross_entropy(batch)
        return type(loss)(loss.sum.detach(), loss.weight)

import torch
from luthier.api import Schedule, Strategy

class Still:
    def __init__(self, *, lr: float = 0.01): self.lr = lr
    def __call__(self, named_parameters, total_steps, rate):
        torch.optim.SGD([weight for _, weight in named_parameters], lr=self.lr)

class Rising(Schedule):
    def after_warmup(self, progress): return -1.0

class Unfinished(Rising):
    def after_warmup(self, progress): pass

class Bare_(Strategy):
    def __call__(self): return None

class Misnamed(Strategy):
    def __call__(self): return "ddq"

class Ranked:
    fixed, best_last = False, True
    def learn(self, pool): ...
    def __call__(self, text): return [0, 0]

class FromTheEnd(Ranked):
    def __call__(self, text): return [-1]

class Unranked(Ranked):
    def __call__(self, text): ...

class Mean:
    better = "higher"
    def statistics(self, attempts): return torch.ones(len(attempts), 2).double().numpy()
    def reduce(self, totals): return float(totals[..., 0].sum() / totals[..., 1].sum())

class Highest(Mean):
    better = "max"
    def reduce(self, totals): return totals[..., 0] / totals[..., 1]

def averaged(pairs): return pairs.chosen.mean()
def constant(pairs): return (pairs.chosen - pairs.rejected).detach()
def named(pairs): return {"loss": pairs.chosen}
def adding(pairs): return pairs.chosen + "1"

class Reading:
    def files(self, path): return [path]
    def records(self, path, name): yield {"prompt": "Which wood?", "completion": "Spruce."}

class Dropped:
    def __call__(self, examples, tally): list(examples)

class Texts(Dropped):
    def __call__(self, examples, tally): return map(str, examples)

from luthier.api import Adaptation, Attempts, RecordsSource, Trainer

class Strings(Prompt):
    def __call__(self, example): return {**example, "messages": ["Which wood?", "Spruce."]}

class Nobody(Prompt):
    def __call__(self, example): return {**example, "messages": []}

class Blank:
    def __init__(self, base): self.base = base
    tokenizer = property(lambda self: self.base.tokenizer)
    config = property(lambda self: self.base.config)
    def network(self): pass
    def lineage(self): return self.base.lineage()

class Untold(Blank):
    tokenizer = property(lambda self: None)

class Described(Blank):
    config = property(lambda self: {"layers": 2})

class Rootless(Blank):
    def network(self): return self.base.network()
    def lineage(self): pass

class Pair(Adaptation):
    needs_base = False
    def __call__(self, network): return network, 1
    def save(self, network, folder): ...
    def load(self, model, folder): ...
    def merge(self, network): return network

class Alone(Pair):
    def __call__(self, network): return network
    def callbacks(self): return object()

class Halved(Pair):
    def __call__(self, network): return network
    def save(self, network, folder): torch.save({}, folder / "weights.pt")

class Forgot(Trainer):
    def fit(self, *given, **more): pass

class Unwritten:
    writes = True
    def __init__(self, *, metrics): self.metrics = metrics
    def __call__(self, predictor, questions, known): return Attempts([one.attempt(None) for one in questions], {})

class Nameless(RecordsSource):
    def records(self): return []  # nothing is read, and its name is asked for
    def origin(self): ...

from luthier.api import Record

class Plain(Nameless):
    def records(self): yield Record("plain", 1, "Spruce.")
"""
GIVEN = {
    "prompt=it Forgetful": ["prompt=it: Forgetful", "must return a dict, and returned None"],
    "method=it Bare": ["method=it: Bare.loss", "must return a Loss, and returned"],
    "method=it Listing": ["method=it: Listing.encode", "must return a Row, and returned [1, 2, 3]"],
    "method=it Vector": ["method=it: Vector.loss", "must return a Loss whose sum is a scalar tensor", "of shape [3]."],
    "method=it Detached": ["method=it: Detached.loss", "must return a Loss whose sum has a gradient"],
    "optimizer=it Still": ["optimizer=it: Still", "must return a torch optimizer", "and returned None."],
    "optimizer/schedule=it Rising": ["optimizer/schedule=it: Rising", "from 0 to 1, and returned -1.0."],
    "optimizer/schedule=it Unfinished": ["optimizer/schedule=it: Unfinished", "from 0 to 1, and returned None."],
    "trainer/strategy=it Bare_": ["trainer/strategy=it: Bare_", "must return a str or a Strategy, and returned None."],
    "trainer/strategy=it Misnamed": ["trainer/strategy=it: Misnamed", "or the name of one, and returned 'ddq'."],
    "prompt/selection=it Ranked": ["prompt/selection=it: Ranked", "each at most once, and returned 0."],
    "prompt/selection=it FromTheEnd": [
        "prompt/selection=it: FromTheEnd",
        "from 0, each at most once, and returned -1.",
    ],
    "prompt/selection=it Unranked": ["prompt/selection=it: Unranked", "must return an Iterable, and returned None."],
    "evaluation/metric=it Mean": ["evaluation/metric=it: Mean.reduce", "a value for each of totals [2, s]"],
    "evaluation/metric=it Highest": [
        "evaluation/metric=it: Highest",
        "better = 'max', and must have 'higher' or 'lower'",
    ],
    "method/objective=it averaged": ["method/objective=it: averaged", "two finite losses, one for each of two pairs"],
    "method/objective=it constant": ["method/objective=it: constant", "must return losses with a gradient"],
    "method/objective=it adding": ["method/objective=it failed: TypeError: unsupported", "in adding (strange-returns"],
    "method/objective=it named": ["method/objective=it: named", "and returned {'loss': tensor("],
    "data/reader=it Reading": ["data/reader=it: Reading.records", "must return a Record, and returned {'prompt'"],
    "prompt=it Strings": ["prompt=it: Strings", "must return an example with `messages`", "'Which wood?' among them."],
    "prompt=it Nobody": ["prompt=it: Nobody", "must return an example with `messages`", "and returned no message."],
    "model=it Blank": ["model=it: Blank.network", "must return a Module, and returned None."],
    "model=it Untold": ["model=it: Untold", "has tokenizer = None, and must have a PreTrainedTokenizerBase."],
    "model=it Described": ["model=it: Described", "has config = {'layers': 2}, and must have a Pre"],
    "model=it Rootless": ["model=it: Rootless.lineage", "must return a dict, and returned None."],
    "adaptation=it Pair": ["adaptation=it: Pair", "must return a Module, and returned a tuple."],
    "adaptation=it Alone": ["adaptation=it: Alone.callbacks", "must return a list or a tuple, and returned an object."],
    "adaptation=it Halved": ["adaptation=it: Halved", "has needs_base = False, and its `save` wrote no config.json"],
    "trainer=it Forgot": ["trainer=it: Forgot.fit", "must return a TrainingEnd, and returned None."],
    "evaluation/task=it Unwritten": ["evaluation/task=it: Unwritten", "an Attempt of a text for each question"],
    "data=it Plain": ["data=it: Plain.records", "must return records whose row is a dict, and returned 'Spruce.'."],
    "data=it Nameless": ["data=it: Nameless.origin", "must return a dict, and returned None."],
    "data/filter=it Dropped": ["data/filter=it: Dropped", "must return an Iterable, and returned None."],
    "data/filter=it Texts": ["data/filter=it: Texts", "must return a dict, and returned a str."],
}
DEFAULTS = {
    "model=it": "defaults:\n  - /model@base: tiny\n",
    "trainer=it": "defaults:\n  - cpu\n  - _self_\n",
    "evaluation/task=it": "defaults:\n  - /evaluation/metric@metrics.exact_match: exact_match\n",
    "data=it": "defaults:\n  - format: auto\n  - splits: by_hash\n",
}
WORDS = {
    "evaluation/metric": ["recipe=demo", "debug=tiny", "+evaluation/metric@evaluation.task.metrics.mine=it"],
    "prompt/selection": ["debug=tiny", "prompt=few_shot", "prompt/selection=it"],
    "method/objective": ["debug=tiny", "method=dpo", "data/format=preference", "method/objective=it"],
    "data/reader": ["model=tiny", "data=jsonl", "data/reader=it", "data.file=rows.jsonl"],
    "data/filter": [
        "model=tiny",
        "method=cpt",
        "data=filtered",
        "data.source.file=rows.txt",
        "+data/filter@data.filters.a=it",
    ],
}


@pytest.mark.parametrize("which", GIVEN)
def test_what_a_part_gives_back_is_checked_where_it_is_taken(which, luthier, distribution, here):
    question, part = which.split()
    settings = "lr: 0.01" if part == "Still" else "warmup: 0.0" if "schedule" in question else ""
    settings = "_partial_: true" if part.islower() else settings
    inherited = DEFAULTS.get(question, "")
    answer = {question.replace("=", "/"): f"# It.\n{inherited}_target_: strange_returns.{part}\n{settings}\n"}
    distribution("strange-returns", RETURNS, plugin="strange", version="0.3.1", answers=answer)
    for name in ("rows.jsonl", "rows.txt"):
        (here / name).write_text('{"prompt": "Which wood?", "completion": "Spruce."}\n' * 20)
    end = luthier(*WORDS.get(question.removesuffix("=it"), ["debug=tiny", question]), "--json")
    assert end.code == 7, end.err
    assert all(words in end.error["message"] for words in GIVEN[which]), end.error
    assert "strange-returns 0.3.1, __init__.py:" in end.error["message"]
    if "lineage" in end.error["message"]:
        assert not list(here.rglob("metrics.jsonl")), "it is noticed before anything is trained"


def test_a_module_that_does_not_load_is_named_with_its_answer(luthier, distribution):
    site = distribution("strange-imports", answers={"prompt/it": "# It.\n_target_: strange_imports.late.It\n"})
    (site / "strange_imports" / "late.py").write_text("class It:\n    pass\n\nimport no_such_package_at_all\n")
    end = luthier("plan", "recipe=demo", "debug=tiny", "prompt=it", "--json")
    assert end.code == 7, end.err
    told = "prompt=it failed: ModuleNotFoundError: No module named 'no_such_package_at_all'"
    (problem,) = end.record["problems"]
    assert told in str(problem)
    assert "in strange_imports.late (strange-imports 1.0, late.py:4)" in str(problem)


SCORED = """
def nothing(prompt, answers, example): ...
def one_number(prompt, answers, example): return 1.0
def short(prompt, answers, example): return [1.0 for _ in answers][1:]
def worded(prompt, answers, example): return ["good" for _ in answers]
def numeral(prompt, answers, example): return ["0.5" for _ in answers]
def ends(prompt, answers, example): raise SystemExit(3)
"""
SCORES = {
    "nothing": "must return a finite number or None for each of 1 answers, and returned None",
    "one_number": "must return a finite number or None for each of 1 answers, and returned 1.0",
    "short": "must return a finite number or None for each of 1 answers, and returned []",
    "worded": "must return a finite number or None for each of 1 answers, and returned ['good']",
    "numeral": "must return a finite number or None for each of 1 answers, and returned ['0.5']",
    "ends": "SystemExit: 3, in ends (strange-scores 0.3.1, __init__.py:8)",
}


@pytest.mark.parametrize("how", SCORES)
def test_a_reward_without_scores_is_named_in_its_own_process_too(how, distribution, monkeypatch):
    from luthier.config.importing import named
    from luthier_reward.reward_process import RewardError, RewardProcess

    answer = {"method/reward/it": f"# It.\n_target_: strange_scores.{how}\n_partial_: true\n"}
    site = distribution("strange-scores", SCORED, plugin="strange", version="0.3.1", answers=answer)
    monkeypatch.setenv("PYTHONPATH", str(site))
    worker = RewardProcess(named(f"strange_scores.{how}"), 60)
    with pytest.raises(RewardError) as fault:
        worker.compute([{"role": "user", "content": "Which wood?"}], ["Spruce."], {})
    worker.close()
    assert SCORES[how] in str(fault.value)
    assert "(strange-scores 0.3.1, __init__.py:" in str(fault.value)
    assert how == "ends" or str(fault.value).startswith(f"method/reward=it: {how} ")


def test_a_class_is_named_by_its_own_answer_not_by_that_of_what_it_inherits(luthier, distribution):
    code = """
class Dropped:
    def __call__(self, examples, tally): list(examples)
class Again(Dropped): ...
class Third(Again): ...
"""
    files = {
        f"data/filter/{name}": f"# It.\n_target_: strange_bases.{kind}\n"
        for name, kind in {"a": "Dropped", "b": "Again", "c": "Again"}.items()
    }
    distribution("strange-bases", code, plugin="strange", answers=files)
    from luthier.plugins.answered import answer_of

    Plugins()
    import strange_bases

    named = {kind: answer_of(getattr(strange_bases, kind)) for kind in ("Dropped", "Again", "Third")}
    both = "data/filter=b or data/filter=c"
    assert named == {"Dropped": "data/filter=a", "Again": both, "Third": both}
