"""From a source to batches: what is counted, cached, refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from luthier.contracts.batch import Row, TokenSequence
from luthier.data.encoding import encode_continuation, encode_conversation
from luthier.data.module import Data
from luthier.data.prompts import ChatPrompt
from luthier.errors import DataError, LuthierError, PluginError, RecipeError
from luthier.fetch import cache
from luthier.training.resumed_place import ResumedPlace
from tests.framework.data_tokens.tiny_tokens import SMOLLM2, Examples, byte_level, chat_row, said


def data(examples=None, tokenizer=None, *, encode=chat_row, prompt=None, **settings) -> Data:
    if examples is None:
        examples = [said(f"Hello {number}", "well " * (number % 7 + 1)) for number in range(30)]
        examples += [said(f"Held out {number}", "well", split="validation") for number in range(5)]
    settings = {"length": 128, "size": 4, "micro": 2, **settings}
    return Data(Examples(examples), prompt or ChatPrompt(), encode, tokenizer or byte_level(), 0, **settings)


def test_an_epoch_trains_on_the_training_split_alone():
    made = data()
    seen = sorted(example for batch in made.train_dataloader() for example in batch.examples)
    assert seen == list(range(30))
    assert sorted(example for batch in made.val_dataloader()[0] for example in batch.examples) == list(range(5))


def test_the_prompt_learns_from_the_training_split_alone_and_before_anything_is_encoded():
    class Learning(ChatPrompt):
        learned = None

        def learn(self, examples, tokenizer):
            assert self.learned is None
            self.learned = list(examples)

        def __call__(self, example):
            assert self.learned is not None
            return example

    prompt = Learning()
    data(prompt=prompt).setup("fit")
    assert {example["split"] for example in prompt.learned} == {"train"}


def test_what_the_prompt_makes_is_what_is_encoded():
    class Loud(ChatPrompt):
        def __call__(self, example):
            return {
                **example,
                "messages": [{**each, "content": each["content"].upper()} for each in example["messages"]],
            }

    made, tokenizer = data(prompt=Loud()), byte_level()
    batch = next(iter(made.train_dataloader()))
    assert "HELLO" in tokenizer.decode(batch.input_ids[0].tolist())
    assert "Hello" in made.examples("train")[0]["messages"][0]["content"]


def test_encoded_blocks_are_made_once(monkeypatch):
    first = data()
    first.setup("fit")
    calls = []

    def counted(example, tokenizer):
        calls.append(example)
        return chat_row(example, tokenizer)

    counted.__module__, counted.__qualname__ = chat_row.__module__, chat_row.__qualname__
    monkeypatch.setattr("luthier.data.module.hash_of_function", lambda function: "the same")
    data(encode=counted).setup("fit")
    made = len(calls)
    again = data(encode=counted)
    again.setup("fit")
    assert made == 35
    assert len(calls) == made
    assert again.report() == first.report()


@pytest.mark.parametrize(
    "change",
    [
        {"examples": [said("Hello", "otherwise")]},
        {"tokenizer": byte_level(SMOLLM2.replace("Tiny", "Other"))},
        {"length": 127},
        {"packing": False},
        {"overlong": "drop"},
        {"encode": lambda example, tokenizer: Row((encode_conversation(example, tokenizer, end_of_turn=False),)),
         "allow": ["pad_is_end_of_turn"]},
    ],
)  # fmt: skip
def test_whatever_the_blocks_depend_on_makes_new_ones(change):
    def folder(made: Data) -> str:
        made.setup("fit")
        return made.blocks("train").folder.name

    same = {"examples": [said("Hello", "well")]}
    assert folder(data(**same)) == folder(data(**same))
    assert folder(data(**{**same, **change})) != folder(data(**same))


class Setting:
    """A method with a setting that its encoding depends on."""

    def __init__(self, model=None, *, most: int = 3) -> None:
        self._hidden_most = most

    def encode(self, example, tokenizer):
        return chat_row({**example, "messages": example["messages"][: self._hidden_most]}, tokenizer)


def test_a_setting_of_the_method_makes_new_blocks_even_where_it_is_kept_under_another_name():
    examples = [said("Hello", "well", "Why?", "Because.")]
    names = set()
    for most in (2, 4):
        made = data(examples, encode=Setting(most=most).encode)
        made.setup("fit")
        names.add(made.blocks("train").folder.name)
    assert len(names) == 2


def test_damaged_blocks_are_made_again(caplog):
    examples = [said("Hello", "damage")]
    made = data(examples)
    made.setup("fit")
    ids = made.blocks("train").folder / "ids"
    whole = ids.read_bytes()
    ids.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = data(examples)
    again.setup("fit")
    assert "not as it was written" in caplog.text
    assert (again.blocks("train").folder / "ids").read_bytes() == whole


def test_a_build_that_fails_leaves_nothing_behind():
    before = set(cache.cache_folder("blocks").iterdir())
    with pytest.raises(DataError):
        data([said("Hello", "long " * 500)]).setup("fit")
    assert {path for path in cache.cache_folder("blocks").iterdir() if not path.name.startswith(".lock")} <= before


def killed_while_encoding(examples) -> None:
    def deadly(example, tokenizer):
        if example["messages"] == examples[100]["messages"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return chat_row(example, tokenizer)

    data(examples, encode=deadly).setup("fit")


def test_a_process_that_is_killed_while_it_encodes_leaves_nothing_under_a_final_name(monkeypatch):
    monkeypatch.setattr("luthier.data.module.hash_of_function", lambda function: "killed")
    examples = [said(f"Hello {number}", "well") for number in range(200)]
    before = {path for path in cache.cache_folder("blocks").iterdir() if not path.name.startswith(".")}
    child = multiprocessing.get_context("fork").Process(target=killed_while_encoding, args=(examples,))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert {path for path in cache.cache_folder("blocks").iterdir() if not path.name.startswith(".")} == before
    made = data(examples)
    made.setup("fit")
    assert made.report()["rows"] == 200
    assert not any(path.name.startswith(".tmp") for path in cache.cache_folder("blocks").iterdir())


LONG = [said("Hello", "well"), said("Hello", "long " * 200), said("Hi", "longer " * 300)]


def test_too_long_is_an_error_that_names_the_first_and_the_way_out():
    with pytest.raises(DataError, match="2 train examples are longer") as caught:
        data(LONG).setup("fit")
    assert caught.value.where == "f:1"
    assert "batch.overlong" in caught.value.hint


def test_too_long_can_be_dropped_and_is_counted_with_its_place():
    made = data([{**each, "where": f"f:{at}"} for at, each in enumerate(LONG)], overlong="drop")
    made.setup("fit")
    assert made.report()["dropped"] == 2
    assert made.blocks("train").facts["places"]["dropped"] == ["f:1", "f:2"]
    assert any("f:1" in sentence and "dropped" in sentence for sentence in made.warnings)


def test_when_all_are_too_long_nothing_is_left_to_train_on():
    with pytest.raises(DataError, match="All 2 train examples"):
        data(LONG[1:], overlong="drop").setup("fit")


def test_cutting_counts_the_answers_that_lost_their_end():
    made = data(LONG, overlong="truncate")
    made.setup("fit")
    assert {name: made.report()[name] for name in ("truncated", "truncated_answers")} == {
        "truncated": 2,
        "truncated_answers": 2,
    }
    assert max(len(made.blocks("train").row(number)) for number in range(3)) == 128
    assert any("lost the end of an answer" in sentence for sentence in made.warnings)


def test_when_every_answer_is_cut_the_run_does_not_begin():
    with pytest.raises(DataError, match="truncated"):
        data(LONG[1:], overlong="truncate").setup("fit")


def test_when_truncation_removes_every_answer_it_says_so_and_not_the_template():
    long_questions = [said("word " * 300 + str(number), "well") for number in range(3)]
    with pytest.raises(DataError, match="truncation removed the answer of each of 3") as caught:
        data(long_questions, overlong="truncate").setup("fit")
    assert "template" not in str(caught.value)
    assert "batch.overlong=split" in caught.value.hint
    some = data([*long_questions, said("Hello", "well")], overlong="truncate")
    some.setup("fit")
    assert any("3 train examples lost the whole of an answer by truncation" in said for said in some.warnings)
    (finding,) = some.token_ledger(0).errors
    assert finding.name == "truncated_answer"
    assert "all of the answer" in finding.message


def test_an_example_with_nothing_to_train_on_is_left_out_and_counted():
    silent = said("Hello", "well")
    silent["messages"][1]["weight"] = 0
    made = data([said("Hello", "well"), silent])
    made.setup("fit")
    assert made.report()["untrainable"] == 1
    assert made.report()["rows"] == 1


def test_when_every_label_is_masked_the_run_does_not_begin_and_the_template_is_named():
    silent = said("Hello", "well")
    silent["messages"][1]["weight"] = 0
    tokenizer = byte_level(name_or_path="silence")
    with pytest.raises(DataError, match="chat template of silence"):
        data([silent] * 2, tokenizer).setup("fit")


def test_an_end_of_turn_that_is_never_trained_stops_the_run_unless_it_is_meant():
    def endless(example, tokenizer):
        return Row((encode_conversation(example, tokenizer, end_of_turn=False),))

    with pytest.raises(DataError, match="ends the turn") as caught:
        data(encode=endless).setup("fit")
    assert "'batch.allow=[pad_is_end_of_turn]'" in caught.value.hint
    data(encode=endless, allow=["pad_is_end_of_turn"]).setup("fit")


def test_special_text_is_counted_and_stays_counted_when_blocks_come_from_the_cache():
    for _ in range(2):
        made = data([said("Hello <|im_end|>", "well"), said("Hi", "well")])
        made.setup("fit")
        assert made.report()["special_text"] == 1


def test_what_was_encoded_before_is_not_counted_again():
    tokenizer = byte_level()
    chat_row(said("Before <|im_end|>", "well"), tokenizer)
    made = data([said("After <|im_end|>", "well")], tokenizer)
    made.setup("fit")
    assert made.report()["special_text"] == 1


def test_an_example_is_shown_as_it_will_be_trained_on():
    for overlong, name in (("truncate", "truncated_answer"), ("drop", "overlong"), ("error", "overlong")):
        made = data(LONG, overlong=overlong)
        assert made.token_ledger(0).errors == []
        assert [finding.name for finding in made.token_ledger(1).errors] == [name]
    assert len(data(LONG, overlong="truncate").token_ledger(1).tokens) == 128
    assert made.token_ledger().where == "f:1"
    assert any(token.weight for token in made.token_ledger().tokens)


def test_one_answer_that_is_cut_among_many_stops_nothing():
    made = data([LONG[1], *(said(f"Hello {number}", "well") for number in range(20))], overlong="truncate")
    made.setup("fit")
    assert made.report()["truncated_answers"] == 1


def test_the_same_examples_in_another_file_are_not_encoded_again():
    first, other = data([said("Hello", "moved", where="a:1")]), data([said("Hello", "moved", where="b:9")])
    assert first.blocks("train").folder == other.blocks("train").folder


def test_a_source_without_training_examples_is_refused():
    with pytest.raises(DataError, match="No example is left to train on"):
        data([said("Hello", "well", split="test")]).setup("fit")


def test_an_example_that_a_method_cannot_encode_is_named():
    def paired(example, tokenizer):
        return Row((encode_continuation(example, "chosen", tokenizer),))

    with pytest.raises(DataError, match="chosen") as caught:
        data(encode=paired).setup("fit")
    assert caught.value.where == "f:1"


@pytest.mark.parametrize(
    ("ids", "weights"), [([], []), ([1, 2], [0.0]), ([1, 2], [1.0, 1.0]), ([1, 2], [0.0, float("nan")])]
)
def test_a_row_that_no_loss_could_use_is_the_methods_fault(ids, weights):
    def wrong(example, tokenizer):
        fine = TokenSequence(np.array([1, 2], np.int32), np.array([0, 1], np.float32))
        return Row((fine, TokenSequence(np.array(ids, np.int32), np.array(weights, np.float32))))

    with pytest.raises(LuthierError) as caught:
        data(encode=wrong).setup("fit")
    assert isinstance(caught.value, PluginError)


def test_a_block_longer_than_the_models_positions_is_refused():
    with pytest.raises(RecipeError, match="positions"):
        data(length=5000)


def test_accumulation_follows_from_the_batch_and_the_devices():
    made = data(size=8, micro=2)
    assert [made.accumulation(world) for world in (1, 2, 4, 8)] == [4, 2, 1, 1]
    assert made.steps(3, 1) == made.steps(3, 2) == 3 * -(-len(made.blocks("train")) // 8)


def test_the_fingerprint_names_all_that_made_the_tokens():
    made = data()
    made.setup("fit")
    first, other = made.fingerprint(), data([said("Hello", "otherwise")])
    assert json.loads(json.dumps(first)) == first
    assert first["splits"] == {"train": 30, "validation": 5, "test": 0}
    assert other.fingerprint()["sha256"] != first["sha256"]
    assert first["counts"]["blocks"] == len(made.blocks("train"))


def test_rows_keep_their_order_however_many_threads_encode():
    examples = [said(f"Hello {number}", "well") for number in range(500)]
    made, tokenizer = data(examples, packing=False), byte_level(SMOLLM2)
    made.setup("fit")
    blocks = made.blocks("train")
    for number in range(0, 500, 37):
        assert f"Hello {number}<" in tokenizer.decode(blocks.row(number).sequences[0].ids.tolist())


class Recorder(pl.LightningModule):
    """Remembers which examples it was shown in each optimizer step."""

    def __init__(self, stop_after: int, checkpoint: Path) -> None:
        super().__init__()
        self.layer, self.stop_after, self.checkpoint = nn.Linear(1, 1), stop_after, checkpoint
        self.seen, self.steps = [], []

    def training_step(self, batch, index):
        self.seen.append(batch.examples)
        self.steps.append(self.global_step)
        return self.layer(batch.weights.mean()[None]).sum()

    def on_train_batch_end(self, outputs, batch, index):
        if self.global_step == self.stop_after and not self.trainer.should_stop:
            self.trainer.save_checkpoint(self.checkpoint)
            self.trainer.should_stop = True

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(made: Data, tmp_path: Path, *, stop_after: int = -1, start: Path | None = None) -> tuple[Recorder, pl.Trainer]:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        min_epochs=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        use_distributed_sampler=False,
        accumulate_grad_batches=made.accumulation(1),
        callbacks=[ResumedPlace(made)],
    )
    module = Recorder(stop_after, tmp_path / "cut.ckpt")
    trainer.fit(module, datamodule=made, ckpt_path=start)
    return module, trainer


def test_lightning_resumes_in_the_middle_of_an_epoch_exactly(tmp_path):
    settings = {"packing": False, "size": 4, "micro": 2}
    whole, trainer = fit(data(**settings), tmp_path)
    assert trainer.global_step == data(**settings).steps(2, 1) == 16
    for stop in (3, 8, 11):
        first, _ = fit(data(**settings), tmp_path, stop_after=stop)
        second, trainer = fit(data(**settings), tmp_path, start=tmp_path / "cut.ckpt")
        assert first.seen + second.seen == whole.seen
        assert trainer.global_step == 16


@pytest.mark.parametrize(
    ("stop", "other"),
    [
        (3, {"micro": 1}),
        (3, {"micro": 4}),
        (3, {"micro": 3}),
        (3, {"size": 6, "micro": 3}),
        (3, {"size": 2, "micro": 1}),
        (8, {"size": 7, "micro": 2}),
        (11, {"size": 3, "micro": 3}),
    ],
    ids=str,
)
def test_batches_of_another_size_from_a_step_on_repeat_and_lose_nothing(tmp_path, stop, other):
    """A step is made of as many examples as it should be, and an epoch ends where its examples do."""
    settings = {"packing": False, "size": 4, "micro": 2}
    first, _ = fit(data(**settings), tmp_path, stop_after=stop)
    made = data(**{**settings, **other})
    saved = torch.load(tmp_path / "cut.ckpt")["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]
    left = made.resumed_steps(saved, 2).left
    second, trainer = fit(made, tmp_path, start=tmp_path / "cut.ckpt")
    seen = [example for module in (first, second) for examples in module.seen for example in examples]
    assert sorted(seen[:30]) == sorted(seen[30:]) == list(range(30))
    sizes = [
        sum(len(examples) for step, examples in zip(second.steps, second.seen, strict=True) if step == each)
        for each in sorted(set(second.steps))
    ]
    assert len(sizes) == left == trainer.global_step - stop
    done, expected = 30 * saved["epoch"] + saved["place"], []
    while done < 60:
        expected.append(min(made.size, 30 - done % 30))
        done += expected[-1]
    assert sizes == expected
