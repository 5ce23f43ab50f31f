"""A recipe whose part needs a package that is not installed is refused in a sentence, before anything is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.hidden import hide

HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "peft")  # what is loaded is missed
FILTERED = ("data=filtered", "data.source.file=notes.txt")
GRPO = ("method=grpo", "batch.packing=false", "data=jsonl", "data.file=rows.jsonl")
SEARCHED = ("prompt=searched",)
DOCUMENTS = ("recipe=rag", "prompt/documents=files", "prompt.documents.path=documents")
DENSE = ("recipe=rag", "prompt/search=dense", "prompt/neighbours@prompt.search.neighbours=hnsw")
SWEEP = ("-m", "hydra/sweeper=optuna", "recipe=demo", "optimizer.lr=interval(1e-4,1e-2)")
ABSENT = {
    "rensa": (("plan", "recipe=cpt-domain"), "data/filter=near_duplicates of recipe=cpt-domain", "cpt"),
    "py3langid": (("plan", *FILTERED, "+data/filter@data.filters.own=language"), "data/filter=language", "cpt"),
    "math_verify": (("plan", *GRPO, "method/reward=number"), "method/reward=number", "reward"),
    "jsonschema": (("plan", *GRPO, "method/reward=json_schema"), "method/reward=json_schema", "reward"),
    "semantic_text_splitter": (("recipe=rag",), "prompt=retrieval of recipe=rag", "retrieval"),
    "faiss": (("plan", *DENSE), "prompt/neighbours=hnsw of recipe=rag", "retrieval"),
    "pypdf": (("plan", *DOCUMENTS), "The document a.pdf", "retrieval"),
    "bs4": (("plan", *DOCUMENTS), "The document b.html", "retrieval"),
    "markdownify": (("plan", *DOCUMENTS), "The document b.html", "retrieval"),
    "optuna": (("plan", *SEARCHED, "prompt/choosing=tpe"), "prompt/choosing=tpe", "sweep"),
    "dspy": (("plan", *SEARCHED, "prompt/choosing=gepa"), "prompt/choosing=gepa", "dspy"),
    "tensorboard": (("plan", "tracking=tensorboard"), "tracking=tensorboard", "tensorboard"),
    "bitsandbytes": (("plan", "recipe=lora_sft", "adaptation=loftq"), "adaptation=loftq of recipe=lora_sft", "gpu"),
}
FURTHER = [
    ("optuna", SWEEP, "hydra/sweeper=optuna", "sweep"),
    ("cmaes", (*SWEEP, "hydra.sweeper.sampler=cmaes"), "hydra.sweeper.sampler=cmaes", "sweep"),
    ("dspy", ("plan", *SEARCHED, "prompt/choosing=mipro"), "prompt/choosing=mipro", "dspy"),
    ("bitsandbytes", ("plan", "optimizer=adamw_8bit"), "optimizer=adamw_8bit", "gpu"),
]
CASES = [(package, *case) for package, case in ABSENT.items()] + FURTHER


def luthier_without(packages, words, folder):
    """The command line in a Python of its own that has no such packages."""
    hiding = folder / "hiding"
    hiding.mkdir()
    hide(packages, hiding)
    path = os.pathsep.join(filter(None, [str(hiding), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "luthier", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "documents"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "a.pdf").write_bytes(b"%PDF-1.4")
    (folder / "b.html").write_text("<p>Gut strings</p>")
    return folder


@pytest.mark.usefixtures("documents")
@pytest.mark.parametrize(("package", "words", "who", "extra"), CASES)
def test_the_sentence_says_who_needs_what_and_how_to_have_it(package, words, who, extra, tmp_path):
    ended = luthier_without({package, *HEAVY}, words, tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert f"{who} needs the package {package}, which is not installed." in ended.stderr
    assert f"pip install 'luthier[{extra}]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not [made for made in tmp_path.iterdir() if made.name not in {"hiding", "documents"}], "nothing was begun"


def test_all_that_is_lacking_is_said_at_once(tmp_path):
    words = ("plan", "recipe=cpt-domain", "tracking=tensorboard")
    ended = luthier_without({"rensa", "tensorboard"}, words, tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 2
    assert "luthier[cpt]" in ended.stderr
    assert "luthier[tensorboard]" in ended.stderr


def test_documents_that_are_not_read_need_nothing(documents, tmp_path):
    for name in ("a.pdf", "b.html"):
        (documents / name).rename(documents / ".hidden" / name)
    (documents / "c.txt").write_text("Gut strings need a humid room.")
    ended = luthier_without({"pypdf", "bs4"}, ("plan", *DOCUMENTS), tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_a_configuration_is_shown_and_explained_whatever_is_lacking(tmp_path):
    ended = luthier_without({"rensa", *HEAVY}, ("recipe=cpt-domain", "--cfg", "job", "--json"), tmp_path)
    assert ended.returncode == 0, ended.stderr
    (tmp_path / "again").mkdir()
    said = luthier_without({"rensa", *HEAVY}, ("explain", "data/filter=near_duplicates"), tmp_path / "again").stdout
    assert "needs rensa: pip install 'luthier[cpt]'" in said
