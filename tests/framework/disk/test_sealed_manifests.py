"""The manifest of an artifact is sealed: whatever is done to it or to a file is one sentence, exit code 5."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from luthier.errors import ResourceError
from luthier.workflows import artifact_manifest
from luthier.workflows.artifact_manifest import notes, read, renew, verify, write

FACTS = {
    "run": "r", "trained": True, "needs_base": True, "model": {"name": "m", "sha256": "ab"}, "seed": 0, "step": 3,
    "commit": None, "places": {"model.path": {"relative": "../base"}}, "packages": {}, "data": {}, "scores": {},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "artifact"
    place.mkdir()
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "resolved.yaml").write_text("a: 1\n")
    write(place, FACTS)
    (place / "README.md").write_text("# Card\n")
    renew(place, ["README.md"])
    return place


def edited(**changes):
    def edit(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        for key, value in changes.items():
            manifest.pop(key) if value is None else manifest.update({key: value})
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return edit


def bytes_of(change):
    def edit(folder: Path) -> None:
        file = folder / "manifest.json"
        file.write_bytes(change(file.read_bytes()))

    return edit


def linked(name: str, target: str):
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return edit


MUTATIONS = {
    "trained by hand": edited(trained=False),
    "another step": edited(step=4),
    "a key missing": edited(model=None),
    "files missing": edited(files=None),
    "no seal": edited(seal=None),
    "a wrong type": edited(trained="yes"),
    "a list for a mapping": edited(files=["model.safetensors"]),
    "a number for a digest": edited(files={"model.safetensors": 7}),
    "a format of tomorrow": edited(format=3),
    "a format that is a list": edited(format=[2]),
    "an absolute path": edited(files={"/etc/passwd": "0" * 64}),
    "a path that leaves": edited(files={"../model.safetensors": "0" * 64}),
    "deep nesting": bytes_of(lambda text: b'{"format": ' + b"[" * 200_000),
    "not UTF-8": bytes_of(lambda text: text.replace(b'"r"', b'"\xff"')),
    "cut": bytes_of(lambda text: text[: len(text) // 2]),
    "empty": bytes_of(lambda text: b""),
    "a list": bytes_of(lambda text: b"[1, 2]"),
    "a key twice": bytes_of(lambda text: text.replace(b'"seed": 0', b'"seed": 0, "trained": false', 1)),
    "a bit": bytes_of(lambda text: text.replace(b'"seed": 0', b'"seed": 1')),
    "weights cut": lambda folder: (folder / "model.safetensors").write_bytes(b"weig"),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
    "weights a link to nothing": linked("model.safetensors", "/nowhere"),
    "weights a link to a device": linked("model.safetensors", "/dev/zero"),
    "weights a link to themselves": linked("model.safetensors", "model.safetensors"),
    "a file more": lambda folder: (folder / "chat_template.jinja").write_text("{{ 1 }}"),
}


@pytest.mark.parametrize("how", MUTATIONS)
def test_each_mutation_is_one_sentence(folder, how):
    verify(folder)
    MUTATIONS[how](folder)
    with pytest.raises(ResourceError) as caught:
        verify(folder)
    assert caught.value.hint
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_manifest_is_noticed(folder):
    whole = (folder / "manifest.json").read_bytes()
    for length in range(0, len(whole) - 2, 7):
        (folder / "manifest.json").write_bytes(whole[:length])
        with pytest.raises(ResourceError):
            read(folder)


def test_a_card_that_people_wrote_in_is_noted_and_no_more(folder):
    assert not notes(folder, verify(folder))
    (folder / "README.md").write_text("# Our model\n")
    assert "README.md is not what the run wrote" in notes(folder, verify(folder))[0]
    (folder / "README.md").unlink()
    assert "README.md is missing" in notes(folder, verify(folder))[0]


def test_an_artifact_of_before_there_were_seals_is_noted_and_loads(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["seal"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    assert "has no seal" in notes(folder, verify(folder))[0]


def test_no_absolute_path_is_in_a_manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"below": str(tmp_path / "base"), "home": str(Path.home() / "x" / "base"), "far": "/mnt/data/base"}
    write(tmp_path, {**FACTS, "model": {"parent": names}, "data": {"files": [str(tmp_path / "rows.jsonl")]}})
    found = read(tmp_path)
    assert found["model"]["parent"] == {"below": "base", "home": "~/x/base", "far": "…/base"}
    assert found["data"] == {"files": ["rows.jsonl"]}
    assert str(tmp_path) not in (tmp_path / artifact_manifest.MANIFEST).read_text()
    assert os.sep + "mnt" not in (tmp_path / artifact_manifest.MANIFEST).read_text()
