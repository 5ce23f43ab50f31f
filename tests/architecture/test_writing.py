"""Files are written by one door, `luthier.disk.writing`: whole, durable, without secrets."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import Module, core

DOOR = "luthier.disk.writing"
WRITES = {"write_text", "write_bytes", "save_file", "savez", "to_parquet", "mkstemp", "NamedTemporaryFile"}
DOTTED = {"json.dump", "torch.save", "np.save", "OmegaConf.save", "os.replace", "pickle.dump", "yaml.dump"}
MODES = set("wax+")
CACHE = "into the folder that `fetch.once.build_once` makes durable and names"
OF_AN_ARTIFACT = "weights, and the model's own files, into the folder that `replacing_folder` makes durable and names"
ALLOWED = {
    "luthier.data.blocks": CACHE,
    "luthier.data.reading": CACHE,
    "luthier.data.stored_examples": CACHE,
    "luthier.models.proofs": CACHE,
    "luthier.training.precision": CACHE,
    "luthier.fetch.archives": CACHE,
    "luthier.fetch.simple_index": CACHE,
    "luthier.fetch.once": "the seal of a folder of the cache, flushed before the folder gets its name",
    "luthier.fetch.notes": "a sealed note of the cache, which may get lost",
    "luthier.data.encoding.template_check": "an empty mark in the cache",
    "luthier.data.quarantine": "rows of the data as they were read, one after another; people put them right",
    "luthier.records.events": "lines that are added one by one, each flushed, secrets redacted",
    "luthier.training.metrics_log": "lines of numbers that are added one by one and flushed before a checkpoint",
    "luthier.records.lock": "the lock itself, which is held open",
    "luthier.evaluation.scores": OF_AN_ARTIFACT,
    "luthier.models.adaptation": OF_AN_ARTIFACT,
    "luthier.models.peft_names": OF_AN_ARTIFACT,
    "luthier.models.processors": OF_AN_ARTIFACT,
    "luthier.training.checkpoint_files": "the manifest, into the folder that `settle` makes durable and names",
    "luthier.training.checkpoint_io": "tensors and state, into the same folder",
    "luthier.testing.ranks": "what the ranks of a test say and learn",
    "luthier.testing.format": "the rows of a test",
    "luthier.testing.reader": "the file of a test",
    "luthier.training.watchdog": "the stacks of a process that hangs, by the standard library's faulthandler",
    "luthier.workflows.chosen_prompt": "what the first rank has chosen, into a folder that is gone once it is read",
    "luthier.workflows.resume_proof.child": "the streams of a process that is to be killed",
    "luthier.workflows.resume_proof.cuts": "the points that a process passed before it was killed, line by line",
}
"""Modules that write otherwise, and why they may."""


def writes(module: Module) -> list[str]:
    """The calls by which a module writes a file itself."""
    found = []
    for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        last = name.rpartition(".")[2]
        if name in DOTTED or (last in WRITES and (last != "write_text" or "." in name)):
            found.append(f"{name} in line {call.lineno}")
        elif last == "open" and name != "os.open":
            modes = [*call.args[(0 if "." in name else 1) :], *(word.value for word in call.keywords)]
            texts = [node.value for node in modes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
            texts += ["w" for node in modes if isinstance(node, ast.Attribute) and node.attr == "mode"]
            if any(len(text) <= 3 and set(text) & MODES for text in texts):
                found.append(f"{name} in line {call.lineno}")
    return found


@pytest.mark.parametrize("module", core(), ids=lambda one: one.name)
def test_no_module_writes_a_file_by_itself(module):
    if module.name != DOOR and module.name not in ALLOWED:
        assert not writes(module)


def test_each_exception_is_one():
    by_name = {module.name: module for module in core()}
    assert not [name for name in ALLOWED if not writes(by_name[name]) and name != "luthier.records.lock"]
    assert writes(by_name[DOOR])
