"""`luthier evaluate RUN … data.file=new.csv`: other data, another split, another task, from the artifact alone."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from tests.command import luthier

MOODS = {"happy": "warm clear sweet", "unhappy": "dull harsh weak"}
FEW = ("stages=[fit,evaluate]", "trainer.max_steps=2", "evaluation.general_examples=0", "evaluation.samples=0")


def _rows(count, begin=0):
    labels = list(MOODS)
    return [(f"Bow {begin + n} sounds {MOODS[labels[n % 2]].split()[n % 3]}.", labels[n % 2]) for n in range(count)]


def _write(file, rows, names=("text", "label")):
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows([names, *rows])
    return file


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Artifacts of two chat models and a classifier in another folder; the data that they were trained on is gone."""
    made, place = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("moved")
    data = _write(made / "reviews.csv", _rows(24))
    chat = ("data=csv", "data/format=classification", "batch.length=128", "evaluation/task=classification")
    for name, words in {
        "slow": (*chat, "optimizer.lr=1e-4"),
        "fast": (*chat, "optimizer.lr=1e-2"),
        "classifier": ("model=tiny_encoder", "method=classify", "method.objective.class_weights=balanced",
                       "data=csv", "batch.length=64", "evaluation/task=classification"),
    }.items():  # fmt: skip
        done = luthier(*words, *FEW, f"data.file={data}", f"hydra.run.dir={made / name}", cwd=made)
        assert done.returncode == 0, done.stderr
        shutil.move(made / name / "artifact", place / name)
    shutil.rmtree(made)
    _write(place / "new.csv", _rows(12, begin=100))
    _write(place / "one_mood.csv", [row for row in _rows(12, begin=200) if row[1] == "happy"], ("review", "mood"))
    return place


def _json(*words, cwd):
    done = luthier("evaluate", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_artifacts_alone_are_compared_on_a_new_file(moved):
    found, said = _json("slow", "fast", "data.file=new.csv", cwd=moved)
    for name in ("slow", "fast"):
        assert found["models"][name]["scores"]["accuracy"]["count"] == 12
    change = found["changes"]["fast"]["loss"]["change"]
    assert change["value"] == pytest.approx(
        found["models"]["fast"]["scores"]["loss"]["value"] - found["models"]["slow"]["scores"]["loss"]["value"]
    )
    assert "12 examples (all)" in said
    assert "note: slow: whether it was trained on these is not known" in said


def test_a_classifier_chooses_among_the_labels_of_its_head_and_says_what_is_not_known(moved):
    words = ("data.file=one_mood.csv", "data.rename={review: text, mood: label}")
    found, said = _json("classifier", *words, cwd=moved)
    scores = found["models"]["classifier"]
    assert scores["counts"]["all: labels"] == 2
    assert scores["scores"]["accuracy"]["count"] == 6
    assert "The loss is not balanced" in said


def test_another_task_and_another_kind_of_data_fit_too(moved):
    (moved / "letters.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Question {n}?", "completion": f"Answer {n}."}) + "\n" for n in range(4))
    )
    words = ("data=jsonl", "data.file=letters.jsonl", "evaluation/task=generation", "evaluation.task.max_new_tokens=4")
    found, _ = _json("slow", *words, cwd=moved)
    assert {"exact_match", "rouge_l", "chrf", "loss"} <= found["models"]["slow"]["scores"].keys()
    assert "accuracy" not in found["models"]["slow"]["scores"]


def test_a_run_with_its_data_knows_all_labels_and_what_it_was_trained_on(tmp_path):
    data = _write(tmp_path / "reviews.csv", _rows(24))
    words = ("data=csv", "data/format=classification", "batch.length=128", "evaluation/task=classification")
    assert luthier(*words, *FEW, f"data.file={data}", "hydra.run.dir=run", cwd=tmp_path).returncode == 0
    _write(tmp_path / "seen.csv", [row for row in _rows(24) if row[1] == "happy"])
    found, said = _json("run", "data.file=seen.csv", cwd=tmp_path)
    assert found["models"]["run"]["counts"]["all: labels"] == 2
    assert "warning: run was trained on" in said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("optimizer.lr=1", "which is the run's own"),
        ("data.fiel=new.csv", "file"),
        ("data=cvs", "csv"),
        ("data.file=new.csv,old.csv", "several values"),
        ("evaluation.task._target_=os.system", "os.system"),
    ],
)
def test_what_cannot_be_changed_is_refused_by_name(moved, word, said):
    done = luthier("evaluate", "slow", word, cwd=moved)
    assert done.returncode in (2, 6)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
