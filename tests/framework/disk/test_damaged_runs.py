"""A file of a run that was cut, emptied or overwritten is as one that is not there: it is made again."""

from __future__ import annotations

import json
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from luthier.config.precision import hashes
from luthier.errors import LuthierError
from luthier.evaluation.scores import NotWhole, Scores
from luthier.records import unfinished
from luthier.records.events import complete_lines
from luthier.records.folder import RunFolder
from luthier.records.whole_scores import are_whole
from luthier.reporting.record import RunRecord
from luthier.workflows import artifact_manifest
from tests.command import luthier

WORDS = ("debug=tiny", "evaluation.general_examples=0", "trainer.checkpoint_every=1", "resume=auto", "tracking=csv")
DAMAGES = {
    "empty": lambda data: b"",
    "cut early": lambda data: data[: len(data) // 10],
    "cut in half": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-3],
    "garbage": lambda data: b"\x00\xff{[" * 20,
    "brackets": lambda data: b"[" * 100_000,
    "of another kind": lambda data: b"[1, 2]\n",
}
REDUCTIONS = dict.fromkeys(("loss", "perplexity", "general_loss", "general_perplexity"), max)
KEPT = ("checkpoints", "lock", "csv", "run.log")
"""What other tests damage, and what nobody reads."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("whole") / "r"
    done = luthier(*WORDS, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return RunFolder(folder)


def readings(folder: RunFolder) -> None:
    """Everything that luthier reads of a finished run; each gives what is whole, or refuses in a sentence."""
    for read in (lambda: RunRecord.load(folder.record), lambda: artifact_manifest.verify(folder.artifact)):
        with suppress(LuthierError):
            read()
    for name in ("before", "after"):
        try:
            Scores.load(folder.scores / name, REDUCTIONS)
            assert are_whole(folder.scores / name)
        except NotWhole:
            pass
    recipe = folder.read_resolved()
    assert isinstance(recipe, dict)
    assert folder.read_score() is None or folder.read_score() > 0
    for lines in (folder.metrics, folder.events, folder.validations):
        assert all(isinstance(line, dict) for line in complete_lines(lines))
    if "trainer" in recipe:
        unfinished.newest(folder.path.parent, hashes(OmegaConf.create(recipe)))


def files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in KEPT
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_happened_to_one_file_is_read_as_not_there_or_refused_in_a_sentence(run, tmp_path, damage):
    names = [file.relative_to(run.path) for file in files(run.path)]
    assert {"record.json", "resolved.yaml", "score.json"} <= set(map(str, names))
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "r"))
    readings(copy)
    for name in names:
        whole = (copy.path / name).read_bytes()
        (copy.path / name).write_bytes(DAMAGES[damage](whole))
        readings(copy)
        (copy.path / name).write_bytes(whole)


def test_scores_that_are_not_of_one_writing_are_not_whole(run, tmp_path):
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "r"))
    statistics = (copy.scores / "before" / "scores.safetensors").read_bytes()
    (copy.scores / "before" / "scores.safetensors").write_bytes(statistics[:-1] + bytes([statistics[-1] ^ 1]))
    with pytest.raises(NotWhole):
        Scores.load(copy.scores / "before", REDUCTIONS)


@pytest.mark.parametrize(
    "damage", ["cut in half", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("empty", "garbage"))]
)
def test_the_same_command_makes_again_what_is_not_whole(run, tmp_path, damage):
    """All files at once, with what killed processes leave, and the newest checkpoint damaged on top."""
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "r"))
    for file in files(copy.path):
        if file != copy.resolved:  # so that the baseline counts, and is seen to be damaged
            file.write_bytes(DAMAGES[damage](file.read_bytes()))
    newest = sorted(copy.checkpoints.iterdir())[-1]
    (newest / "state.json").write_bytes(b"{")
    (copy.path / ".tmp-999999999-artifact").mkdir()
    (copy.path / ".tmp-999999999-artifact" / "model.safetensors").write_bytes(b"half")
    done = luthier(*WORDS, f"hydra.run.dir={copy.path}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f"warning: The checkpoint {newest.name} is not intact and not used" in done.stderr
    assert "before holds no whole scores" in done.stderr
    assert any(newest.name in warning for warning in RunRecord.load(copy.record).warnings)
    assert not list(copy.path.rglob(".tmp-*"))
    artifact_manifest.verify(copy.artifact)
    assert are_whole(copy.scores / "before")
    assert are_whole(copy.scores / "after")
    assert copy.read_score() is not None


@pytest.mark.parametrize("name", ["record.json", "score.json", "scores/before/scores.json", "scores/after/scores.json"])
def test_a_digit_of_what_was_measured_that_was_changed_is_noticed(run, tmp_path, name):
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "r"))
    text = (copy.path / name).read_text(encoding="utf-8")
    digits = [at for at, sign in enumerate(text) if sign.isdigit() and text[at - 1] in ".0123456789"]
    for at in digits[:: max(1, len(digits) // 20)]:
        changed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
        if json.loads(changed) == json.loads(text):
            continue  # the seventeenth digit of a number: it is read as the same float
        (copy.path / name).write_text(changed, encoding="utf-8")
        if name == "record.json":
            with pytest.raises(LuthierError, match="changed after it was written"):
                RunRecord.load(copy.record)
        elif name == "score.json":
            assert copy.read_score() is None
        else:
            assert not are_whole(copy.path / Path(name).parent)
    (copy.path / name).write_text(text, encoding="utf-8")
    assert RunRecord.load(copy.record)
    assert copy.read_score() is not None
    assert are_whole(copy.scores / "before")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of POSIX")
def test_a_pipe_in_the_place_of_a_file_of_a_run_is_not_waited_for(run, tmp_path):
    for name in ("record.json", "resolved.yaml", "score.json", "scores/before/scores.json", "artifact/manifest.json"):
        copy = RunFolder(shutil.copytree(run.path, tmp_path / name.replace("/", "-")))
        (copy.path / name).unlink()
        os.mkfifo(copy.path / name)
        reader = threading.Thread(target=readings, args=(copy,), daemon=True)
        reader.start()
        reader.join(30)
        assert not reader.is_alive(), name
