"""Continued pre-training as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import luthier
from tests.command import luthier as run

SHORT = [
    "trainer.precision=fp32",
    "trainer.max_steps=3",
    "evaluation.general_examples=2",
    "batch.length=64",
    "batch.size=2",
]
OWN_TEXT = ["method=cpt", "data=text", "data.reader.unit=file", "data.splits.test=0.2", "batch.overlong=split"]


def record(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))


def test_a_folder_of_text_files_is_trained_on_whole_and_the_report_shows_both_perplexities(corpus, tmp_path):
    done = run(*OWN_TEXT, *SHORT, f"data.file={corpus}", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    found = record(tmp_path / "run")
    measured = {each["name"]: each for each in found["comparisons"]}
    assert {"loss", "perplexity", "bits_per_byte", "general_loss", "general_perplexity"} <= set(measured)
    assert all(each["before"] and each["after"] for each in measured.values())
    counts = found["data"][0]["counts"]
    assert counts["read"] == 24
    assert counts["split"] > 0
    assert counts["trained"] == counts["tokens"] - counts["rows"]


def test_documents_longer_than_a_block_are_an_error_with_the_way_out_unless_they_are_split(corpus, tmp_path):
    done = run(*OWN_TEXT[:-1], *SHORT, f"data.file={corpus}", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 3
    assert "split" in done.stderr


def test_words_of_the_corpus_become_tokens_and_the_artifact_has_them(corpus, tmp_path):
    words = [
        "model=extended",
        "model@model.base=tiny",
        "model.frequency=4",
        "model.tokens=30",
        "method.embedding_rate=5",
    ]
    done = run(*OWN_TEXT, *SHORT, *words, "adaptation=lora", f"data.file={corpus}", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "30 new tokens" in record(tmp_path / "run")["model"]["note"]
    for file in corpus.iterdir():
        file.unlink()  # what was learned is in the artifact
    loaded = luthier.load(tmp_path / "run")
    rows = loaded.network.get_base_model().get_input_embeddings().weight
    assert len(rows) == max(loaded.tokenizer.get_vocab().values()) + 1
    assert loaded.generate([[{"role": "user", "content": "The purfling?"}]])


def test_filters_and_replay_stand_in_a_recipe_and_their_counts_in_the_report(corpus, tmp_path):
    recipes = tmp_path / "recipes" / "recipe"
    recipes.mkdir(parents=True)
    (recipes / "clean.yaml").write_text(
        "# @package _global_\n"
        "# Clean text, and general text between.   luthier recipe=clean\n"
        "defaults:\n"
        "  - /data/filter@data.domain.filters.near_duplicates: near_duplicates\n"
        "  - /data/filter@data.domain.filters.personal: personal\n"
        "  - override /method: cpt\n"
        "  - override /data: replayed\n"
        "  - override /data@data.domain: filtered\n"
        "  - override /data@data.replay: jsonl\n"
        "data:\n"
        f"  domain: {{source: {{file: {corpus}, reader: {{unit: file}}, splits: {{test: 0.2}}}}}}\n"
        "  share: 0.3\n"
        f"  replay: {{file: {tmp_path / 'general.jsonl'}}}\n"
        "batch: {overlong: split}\n",
        encoding="utf-8",
    )
    (corpus / "mail.txt").write_text("Ask for varnish at maker@violins.example.org, by letter or by mail.")
    (corpus / "zz_twin.txt").write_text((corpus / "00.txt").read_text() + " End.")
    general = tmp_path / "general.jsonl"
    general.write_text("".join(f'{{"text": "General text number {at}, of no domain."}}\n' for at in range(50)))
    done = run("recipe=clean", *SHORT, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counts = record(tmp_path / "run")["data"][0]["counts"]
    assert counts["near_duplicates: dropped"] == 1
    assert counts["personal: masked email"] == 1
    share = counts["replay: characters"] / (counts["replay: characters"] + counts["domain: characters"])
    assert 0.28 < share < 0.34


def test_a_first_recipe_for_plain_text_continues_pretraining_and_loses_nothing(corpus, tmp_path):
    done = run("init", str(corpus), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recipe = (tmp_path / "recipes" / "recipe" / "corpus.yaml").read_text(encoding="utf-8")
    assert "override /method: cpt" in recipe
    assert "overlong: split" in recipe
    assert run("recipe=corpus", "--cfg", "job", cwd=tmp_path).returncode == 0
