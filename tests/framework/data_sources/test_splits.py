"""A split never moves, duplicates never cross it, and what the source says holds."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from luthier.data.dedup import content_key
from luthier.data.examples import answer_of, prompt_key, prompt_of
from luthier.data.formats.classification import Classification
from luthier.data.readers.by_ending import ByEnding
from luthier.data.readers.json_lines import JsonLines
from luthier.data.records import Tally
from luthier.data.sources.files import Files
from luthier.data.splits import GivenSplits, HashSplits
from luthier.errors import DataError, RecipeError


def talk(question, answer, **more):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "where": "here:1", **more}


def sides(source):
    return {example["messages"][0]["content"]: example["split"] for example in source}


def test_an_examples_split_depends_on_nothing_but_its_text(write, pairs):
    rows = pairs(400)
    before = sides(Files(file=str(write(rows, "a.jsonl"))))
    random.Random(0).shuffle(rows)
    after = sides(Files(file=str(write([*rows, *pairs(900)[400:]], "b.jsonl"))))
    assert {question: after[question] for question in before} == before
    assert 20 < list(before.values()).count("test") < 60


def test_a_split_is_the_same_in_another_process():
    mine = "".join(HashSplits(test=0.5).split(talk(f"q{i}", "a"))[:2] for i in range(64))
    code = (
        "from luthier.data.splits import HashSplits\n"
        "row = lambda i: {'messages': [{'role': 'user', 'content': f'q{i}'}, {'role': 'assistant', 'content': 'a'}]}\n"
        "print(''.join(HashSplits(test=0.5).split(row(i))[:2] for i in range(64)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mine
    # Written down: a change of the hash would move every split of every user.
    assert mine[:32] == "trtrtetrtrtrtrtetrtetrtetetrtrtr"


def test_a_larger_share_only_takes_from_training():
    rows = [talk(f"q{i}", "a") for i in range(500)]
    small, large = ({i for i, row in enumerate(rows) if HashSplits(test=s).split(row) == "test"} for s in (0.1, 0.3))
    assert small < large
    with_validation = {i for i, row in enumerate(rows) if HashSplits(test=0.1, validation=0.2).split(row) == "test"}
    assert with_validation == small


def test_all_answers_to_a_prompt_stay_on_one_side_unless_content_is_asked_for():
    answers = [talk("one question", f"answer {i}") for i in range(100)]
    assert len({HashSplits(test=0.5).split(row) for row in answers}) == 1
    assert len({HashSplits(test=0.5, by="content").split(row) for row in answers}) == 2


def test_neither_the_instruction_nor_white_space_nor_the_system_turn_moves_an_example():
    texts = [{"text": f"text {i}", "messages": talk(f"Classify: text {i}", "x")["messages"]} for i in range(50)]
    other = [{"text": f" text  {i}\n", "messages": talk(f"What is text {i}?", "x")["messages"]} for i in range(50)]
    assert [prompt_key(row) for row in texts] == [prompt_key(row) for row in other]
    plain = talk("Why?", "So.")
    system = {"messages": [{"role": "system", "content": "Be brief."}, *plain["messages"]]}
    assert prompt_key(plain) == prompt_key(system)
    assert content_key(plain) != content_key(system)


def test_prompt_and_answer_are_the_two_sides_of_the_last_turn():
    row = talk("Why?", "So.")
    assert prompt_of(row) == [{"role": "user", "content": "Why?"}]
    assert answer_of(row) == "So."
    assert answer_of({"messages": row["messages"][:1]}) == ""


def test_duplicates_are_dropped_counted_and_warned_about(write):
    rows = [{"prompt": f"q{i % 7}", "completion": "a b"} for i in range(10)]
    source = Files(file=str(write(rows)))
    assert len(list(source)) == 7
    assert source.counts["duplicates"] == 3
    assert any("3 of 10 examples are duplicates" in warning for warning in source.warnings)


def test_ids_do_not_hide_duplicates_and_other_answers_are_none(write):
    rows = [{"prompt": "q", "completion": a, "id": i} for i, a in enumerate(["a", "a", "b"])]
    source = Files(file=str(write(rows)))
    assert [answer_of(example) for example in source] == ["a", "b"]


def test_a_split_column_is_respected(write, pairs):
    rows = [{**row, "split": split} for row, split in zip(pairs(4), ["train", "val", "TEST", "dev"], strict=True)]
    source = Files(file=str(write(rows)), splits=HashSplits(test=0.5))
    assert [example["split"] for example in source] == ["train", "validation", "test", "validation"]
    assert source.counts["validation"] == 2
    path = write([{**pairs(1)[0], "split": "left"}])
    with pytest.raises(DataError, match="'left', which is no split"):
        list(Files(file=str(path)))


def test_names_of_files_give_their_split_and_held_out_copies_stay(write, pairs):
    folder = write(pairs(20), "set/train-00000-of-00001.jsonl").parent
    write(pairs(25)[18:], "set/test.csv".replace("csv", "jsonl"))
    write(pairs(30)[25:], "set/val/part.jsonl")
    source = Files(file=str(folder))
    split = sides(source)
    assert split["Question 18?"] == split["Question 19?"] == "test"
    assert source.counts["overlap"] == 2
    assert (source.counts["train"], source.counts["test"], source.counts["validation"]) == (18, 7, 5)
    (warning,) = [warning for warning in source.warnings if "only the first is kept" in warning]
    assert "split test are in train too" in warning
    assert "train-00000-of-00001.jsonl:19" in warning


def test_a_lone_file_called_train_is_still_split(write, pairs):
    assert set(sides(Files(file=str(write(pairs(100), "train.jsonl")))).values()) == {"train", "test"}


def test_a_class_that_a_split_lacks_is_named(write):
    rows = [
        {"text": f"t{i}", "label": "rare" if i == 3 else "common", "split": "test" if i > 5 else "train"}
        for i in range(9)
    ]
    source = Files(file=str(write(rows)), format=Classification())
    list(source)
    assert "The split test has no example of 1 of 2 classes: 'rare'" in source.warnings


def test_a_share_that_chance_does_not_explain_is_warned_about(write, pairs):
    rows = [{"prompt": "Write a haiku.", "completion": f"haiku {i}"} for i in range(200)]
    source = Files(file=str(write(rows)), splits=HashSplits(test=0.3))
    assert len(set(sides(source).values())) == 1
    assert any("set data.splits.by=content" in warning for warning in source.warnings)
    few = Files(file=str(write(pairs(2), "few.jsonl")), splits=HashSplits(test=0.001))
    list(few)
    assert any("None of 2 examples fell to test" in warning for warning in few.warnings)
    fine = Files(file=str(write(pairs(500), "fine.jsonl")))
    list(fine)
    assert fine.warnings == []


def test_as_given_holds_nothing_out_of_what_has_no_split():
    rows = [talk("a", "b"), talk("c", "d", split="test")]
    assert [row["split"] for row in GivenSplits()(iter(rows), Tally())] == ["train", "test"]


@pytest.mark.parametrize("shares", [{"test": -0.1}, {"test": 0.6, "validation": 0.5}, {"validation": 1.1}])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(RecipeError, match="do not leave"):
        HashSplits(**shares)


def test_limit_takes_the_first_and_a_seed_takes_random_ones(write, pairs):
    path = str(write(pairs(100)))

    def taken(**settings):
        return [int(example["where"].rsplit(":")[-1]) for example in Files(file=path, **settings)]

    assert taken(limit=5) == [1, 2, 3, 4, 5]
    drawn = taken(shuffle=1, limit=20)
    assert drawn == taken(shuffle=1, limit=20)
    assert drawn != sorted(drawn)
    assert drawn == taken(shuffle=1)[:20]
    assert set(drawn) != set(taken(shuffle=2, limit=20))
    assert sorted(taken(shuffle=1)) == list(range(1, 101))


def test_reading_is_lazy_until_something_needs_all_rows(write, pairs):
    path = write("".join(f'{{"prompt": "{i}", "completion": "x"}}\n' for i in range(100)) + "broken\n")
    assert len(list(Files(file=str(path), reader=JsonLines(), limit=20))) == 20
    with pytest.raises(DataError):
        list(Files(file=str(path), reader=JsonLines(), limit=20, shuffle=0))


def test_folders_are_read_in_the_order_of_names_and_by_their_endings(write, pairs):
    import json

    folder = write(json.dumps(pairs(3)), "set/b.json").parent
    write(pairs(6)[3:], "set/a/a.jsonl")
    write("prompt\tcompletion\nx\ty\n", "set/c.tsv")
    write("not data", "set/.hidden.jsonl")
    write("not data", "set/notes.txt")
    names = [example["where"].split("set/")[1] for example in Files(file=str(folder), reader=ByEnding())]
    assert names == ["a/a.jsonl:1", "a/a.jsonl:2", "a/a.jsonl:3", "b.json:1", "b.json:1", "b.json:1", "c.tsv:2"]
    assert len(list(Files(file=str(folder), reader=ByEnding(glob="*.json")))) == 3
    with pytest.raises(DataError, match="holds no file to read"):
        list(Files(file=str(folder), reader=ByEnding(glob="*.xml")))


def test_folds_hold_out_each_example_once_and_the_first_is_what_there_is_without_them():
    examples = [talk(f"q{n}", "a") for n in range(400)]
    held = [[HashSplits(test=0.25, fold=fold).split(one) == "test" for one in examples] for fold in range(4)]
    assert [sum(fold[n] for fold in held) for n in range(400)] == [1] * 400
    assert [HashSplits(test=0.25).split(one) == "test" for one in examples] == held[0]
    assert all(60 < sum(fold) < 140 for fold in held)


@pytest.mark.parametrize(("share", "fold"), [(0.25, 4), (0.25, -1), (0.0, 1)])
def test_a_fold_that_would_hold_out_an_example_twice_is_refused(share, fold):
    with pytest.raises(RecipeError, match=f"There is no fold {fold}"):
        HashSplits(test=share, fold=fold)
