"""Exports to ONNX: what onnxruntime computes is what the network computes, or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luthier
from luthier.contracts.heads import Head
from luthier.errors import RecipeError
from luthier.workflows.onnx.gate import Text, compared
from luthier.workflows.onnx.running import Logits, of_file, of_network
from luthier.workflows.onnx.writing import write_int8
from tests.command import luthier as command

TEXTS = ["Spruce.", "The ribs of a cello are bent over a hot iron.", "peg " * 40]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("onnx"), "method=classify", "model=tiny_encoder")


def trained(folder: Path, *words: str) -> Path:
    done = command(
        "data=tiny", "batch.length=256", "trainer.precision=fp32", "trainer.max_steps=1", *words,
        f"hydra.run.dir={folder / 'run'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def exported(classified: Path) -> Path:
    done = command("export", str(classified), str(classified.parent / "onnx"), "--to", "onnx")
    assert done.returncode == 0, done.stderr
    assert "labels of" in done.stderr + done.stdout
    return classified.parent / "onnx"


def test_a_file_answers_as_the_model_for_texts_of_any_length_and_number(classified: Path, exported: Path) -> None:
    model, run = luthier.load(classified), of_file(exported / "model.onnx")
    ids = [model.tokenizer(text).input_ids for text in TEXTS]
    outputs = model.class_outputs([{"text": text} for text in TEXTS])
    np.testing.assert_allclose(np.stack(run(ids)), outputs, atol=1e-5)
    np.testing.assert_allclose(np.stack([run([one])[0] for one in ids]), outputs, atol=1e-5)


def test_what_was_compared_and_measured_is_said(classified: Path, exported: Path) -> None:
    facts = json.loads((exported / "onnx.json").read_text())
    record = json.loads((classified / "record.json").read_text())
    assert facts["texts"] == record["splits"]["test"]
    assert facts["source"] == "the test split"
    assert facts["largest"] <= facts["bound"] == 1e-3
    assert all(value > 0 for value in (*facts["milliseconds"], *facts["bytes"]))
    assert record["sections"][-1]["title"] == "Export onnx"
    assert json.loads((exported / "config.json").read_text())["id2label"] == {
        str(number): label for number, label in enumerate(facts["labels"])
    }
    assert not list(exported.parent.glob(".*onnx*"))


def test_8_bits_make_the_file_smaller(classified: Path, exported: Path, tmp_path: Path) -> None:
    write_int8(exported / "model.onnx", tmp_path / "small.onnx")
    assert (tmp_path / "small.onnx").stat().st_size < 0.5 * (exported / "model.onnx").stat().st_size
    model = luthier.load(classified)
    ids = [model.tokenizer(text).input_ids for text in TEXTS]
    near = np.stack(of_file(tmp_path / "small.onnx")(ids))
    assert 0 < np.abs(near - model.class_outputs([{"text": text} for text in TEXTS])).max() < 0.5


def test_the_gate_refuses_another_label_and_a_score_beyond_the_bound(classified: Path) -> None:
    model = luthier.load(classified)
    head, network = Head.of(model.network.config), of_network(model.network)
    assert head is not None
    texts = [Text(model.tokenizer(text).input_ids) for text in TEXTS]

    def apart(difference: float, batches: bool = True) -> Any:
        def run(ids: Sequence[Any]) -> list[Logits]:
            found = network(ids)
            return [own + difference * np.arange(len(own)) if batches or len(ids) > 1 else own for own in found]

        return run

    assert compared(network, apart(0), texts, head, bound=1e-6).largest < 1e-6
    with pytest.raises(RecipeError, match=r"a score differs by .*more than the bound 0.001"):
        compared(network, apart(0.02), texts, head, bound=0.001)
    with pytest.raises(RecipeError, match="text 1 of 3, it answers"):
        compared(network, apart(9), texts, head, bound=1)
    with pytest.raises(RecipeError, match="a padded batch, it answers"):
        compared(network, apart(9, batches=False), texts, head, bound=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--int8",), "--int8 is of an export to ONNX"),
        (("--to", "onnx", "--bound", "-1"), "more than the bound"),
        (("--to", "onnx", "--rows", "ROWS"), "has no `text`"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(
    words: tuple[str, ...], message: str, classified: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "Why?"}\n')
    words = tuple(word.replace("ROWS", str(tmp_path / "rows.jsonl")) for word in words)
    done = command("export", str(classified), str(tmp_path / "out"), *words)
    assert done.returncode == 2 or done.returncode == 3, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.exhaustive
def test_a_tagger_is_exported_too_by_given_rows(tmp_path: Path) -> None:
    run = trained(tmp_path, "method=tag", "model=tiny_encoder", "adaptation=lora")
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    done = command("export", str(run), str(tmp_path / "out"), "--to", "onnx", "--rows", str(tmp_path / "rows.jsonl"))
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "out" / "onnx.json").read_text())
    assert (facts["texts"], facts["source"]) == (3, "those of rows.jsonl")


@pytest.mark.exhaustive
def test_a_causal_language_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    run = trained(tmp_path, "method=classify", "model=tiny")
    done = command("export", str(run), str(tmp_path / "out"), "--to", "onnx")
    assert "is a causal language model" in done.stderr
    assert "luthier export RUN FOLDER" in done.stderr
