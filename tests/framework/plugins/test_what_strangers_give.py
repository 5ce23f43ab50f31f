"""What a stranger's part gives, keeps or changes is a fault of that part, never one of luthier and never silent."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest

from luthier.disk.redaction import redact_text
from luthier.errors import PluginError
from luthier.plugins import installed
from luthier.training.part_states import PartStates

CODE = """
import torch
from luthier.api import Answer, Format, SampledRollout, Signal, generate_from_tokens, hookimpl

class Texts:
    def files(self, path): return str(path)
    def records(self, path, name): return iter(())

class Blank(Format):
    name, expects = "it", "anything"
    def recognises(self, row): return ""
    def __call__(self, row, counts): return {"messages": [{"role": "user", "content": None}]}

class Crate:
    counts, warnings = {}, []
    def __iter__(self):
        yield {"messages": [{"role": "user", "content": float("nan")}], "where": "crate:1", "split": "train"}
    def fingerprint(self): return {"name": "crate"}
    def quarantine_into(self, folder): ...

class Leaves(Crate):
    def __iter__(self):
        raise SystemExit("no more")

class OnlyTheFirst:
    def __call__(self, named_parameters, total_steps, rate):
        return torch.optim.SGD([weight for _, weight in named_parameters][:1], lr=0.01)

class Nothing(SampledRollout):
    def use(self, model, adapted): self.tokenizer = model.tokenizer
    def __call__(self, network, prompts, numbers, count, seed): ...
    def greedy(self, network, prompts): ...

class Written(Nothing):
    def __call__(self, network, prompts, numbers, count, seed): return ["Spruce."] * (count * len(prompts))

class Unlikely(Nothing):
    def __call__(self, network, prompts, numbers, count, seed):
        return [Answer([1, 2], "", [-1.0, -1.0], [-1.0, float("nan")])] * (count * len(prompts))

class Detached(Signal):
    def __call__(self, distributions):
        return distributions.shared_log_probs(1.0)[1].detach().sum(-1)

class BadSignature:
    def __call__(self, params): ...
"""
TRAINED = ["debug=tiny", "trainer.max_steps=1", "stages=[fit]"]
GRPO = [*TRAINED, "method=grpo", "method/reward=length", "method/rollout=it", "batch.packing=false"]
GIVEN = {
    "data/reader=it Texts": ["data/reader=it: Texts.files", "must return a list of paths, and returned 'rows.jsonl'."],
    "data/format=it Blank": ["data/format=it: Blank", "a text as `role` and as `content`, and returned {'role'"],
    "data=it Crate": ["data=it: Crate.__iter__", "a text as `role` and as `content`", "'content': nan}"],
    "data=it Leaves": ["data=it failed: SystemExit('no more') was to end the process, in Leaves.__iter__"],
    "optimizer=it OnlyTheFirst": ["optimizer=it: OnlyTheFirst", "every weight whose rate is above 0, and returned one"],
    "method/rollout=it Nothing": ["method/rollout=it: Nothing", "answers to each of", "and returned None."],
    "method/rollout=it Written": ["method/rollout=it: Written", "each an Answer, and returned 'Spruce.'."],
    "method/rollout=it Unlikely": ["method/rollout=it: Unlikely", "a finite `sampling_logprobs` of each id"],
    "method/signal=it Detached": ["method/signal=it: Detached", "must return losses with a gradient"],
    "optimizer=odd_signature BadSignature": ["optimizer=odd_signature: BadSignature (strange-gifts 0.3.1"],
}
ROLLOUT = "max_new_tokens: 4\ntemperature: 1.0\ntop_p: 1.0\ntop_k: 0\nstop: null\n"
WORDS = {
    "data/reader": ["model=tiny", "data=jsonl", "data/reader=it", "data.file=rows.jsonl"],
    "data/format": ["model=tiny", "data=jsonl", "data/format=it", "data.file=rows.jsonl"],
    "data": ["model=tiny", "data=it"],
    "method/rollout": GRPO,
    "method/signal": [*TRAINED, "method=distill", "method/signal=it", "model@method.teacher=tiny"],
}


@pytest.mark.parametrize("which", GIVEN)
def test_what_a_stranger_gives_is_named_with_its_answer(which, luthier, distribution, here):
    question, part = which.split()
    settings = ROLLOUT if "rollout" in question else ""
    answer = {question.replace("=", "/"): f"# It.\n_target_: strange_gifts.{part}\n{settings}"}
    distribution("strange-gifts", CODE, plugin="strange", version="0.3.1", answers=answer)
    row = {"prompt": "Which wood?", "completion": "Spruce."}
    (here / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 3)
    words = WORDS.get(question.partition("=")[0], [*TRAINED, question])
    end = luthier(*words, "method=sft") if question.startswith("data") else luthier(*words)
    assert end.code == 7, end.err
    assert all(said in end.err for said in GIVEN[which]), end.err


CALLBACK = """
import pytorch_lightning as pl
from luthier.api import hookimpl

class Counter(pl.Callback):
    def state_dict(self): return {"made": lambda: 1}

@hookimpl
def luthier_callbacks(config):
    return [Counter()]
"""


def test_a_callback_whose_state_no_checkpoint_holds_is_named(luthier, distribution):
    distribution("strange-callbacks", CALLBACK, plugin="strange", version="0.3.1")
    end = luthier(*TRAINED)
    assert end.code == 7, end.err
    assert "Counter.state_dict (strange-callbacks 0.3.1, __init__.py:7) must return numbers, texts" in end.err


class Remembers:
    def state_dict(self):
        return {"seen": object()}

    def load_state_dict(self, state): ...


def test_a_part_whose_state_no_checkpoint_holds_is_named():
    states = PartStates({"method.reward": Remembers()}, None)
    with pytest.raises(PluginError, match=r"Remembers\.state_dict .* a state whose seen is a builtins\.object"):
        states.state_dict()


CLEARING = """
class Clearing:
    fixed, best_last = False, True
    def learn(self, pool):
        self.count = len(pool)
        pool.clear()
    def __call__(self, text): return range(self.count)
"""


def test_a_selection_that_empties_the_list_it_is_given_changes_only_that(luthier, distribution):
    answers = {"prompt/selection/it": "# It.\n_target_: strange_selection.Clearing\n"}
    distribution("strange-selection", CLEARING, plugin="strange", answers=answers)
    end = luthier("debug=tiny", "prompt=few_shot", "prompt/selection=it", "stages=[baseline]", "evaluation/task=none")
    assert end.code == 0, end.err


def test_a_rollout_that_changes_its_prompts_changes_nothing_that_is_trained_on():
    from luthier.api import Answer
    from luthier_reward.sampled_answers import sampled_answers

    def rollout(network, prompts, numbers, count, seed):
        for prompt in prompts:
            prompt[:] = 0
        return [Answer()] * len(prompts)

    prompts = [np.array([5, 6, 7], np.int32)]
    sampled_answers(rollout, None, prompts, [0], 1, 0)
    assert prompts[0].tolist() == [5, 6, 7]


def test_a_search_whose_scores_are_no_numbers_is_named():
    from luthier_retrieval.passage_search import PassageSearch

    def search(question, k):
        return np.array([0]), np.array([np.nan])

    found = PassageSearch([], search, None, 5)
    found.starts = [0, 1]
    with pytest.raises(PluginError, match=r"must return a score that is a number for each passage, and returned \[nan"):
        found._searched("Which wood?", 5)


@pytest.mark.parametrize(
    "text", ["optimizer=my_token: TokenWise (acme 1.0, a.py:3) must", "adaptation=it_signature: Signed.call (acme 1"]
)
def test_the_name_of_a_class_behind_its_answer_is_no_secret(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text", ["url=x/?token=abcdefgh (old)", "auth_token: abc123def456 (a)", "api_token: abcdefghi"]
)
def test_what_stands_behind_another_name_is_one(text):
    assert "[redacted]" in redact_text(text)


def test_a_namespace_has_several_owners(distribution):
    site = distribution("acme-one")
    for name in ("acme_one-1.0", "acme_two-1.0"):
        folder = site / f"{name}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[:8].replace('_', '-')}\nVersion: 1.0\n")
        (folder / "RECORD").write_text(f"shared_space/{name[:8]}.py,,\n")
    installed._brought_on.cache_clear()
    assert sorted(installed.owners_of("shared_space")) == ["acme-one", "acme-two"]
    installed._brought_on.cache_clear()


def test_a_plugin_in_an_archive_is_left_out_with_a_sentence(luthier, here, monkeypatch):
    archive = here / "boxed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("boxed/__init__.py", "")
        file.writestr("boxed/recipes/__init__.py", "")
        file.writestr("boxed-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: boxed\nVersion: 1.0\n")
        file.writestr("boxed-1.0.dist-info/entry_points.txt", "[luthier]\nboxed = boxed\n")
    monkeypatch.syspath_prepend(str(archive))
    try:
        end = luthier("plugins")
    finally:
        sys.modules.pop("boxed", None)
    assert f"imported from the archive {archive}" in "".join((end.err + end.out).splitlines()), end.out + end.err
