"""What our own code never does: run text as code, unpickle, hand lines to a shell, trust code that models bring."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.sources import modules

CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
DOTTED = {"os.system", "os.popen", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pickle.loads"}
VAGUE = re.compile(r"^(utils?|helpers?|common|misc|base|manager|stuff|lib|core)$")


def calls(module: str):
    return [node for node in ast.walk(modules()[module].tree) if isinstance(node, ast.Call)]


KITS = {"luthier.testing.source", "luthier.testing.reward"}  # which test that a part survives being sent to a process


@pytest.mark.parametrize("module", sorted(set(modules()) - KITS))
def test_no_text_is_run_as_code(module):
    for call in calls(module):
        name = ast.unparse(call.func)
        assert name not in CALLS | DOTTED, f"{name} in line {call.lineno}"


@pytest.mark.parametrize("module", sorted(set(modules()) - KITS))
def test_nothing_is_unpickled(module):
    assert not {name.split(".")[0] for name in modules()[module].imports(lazy=True)} & MODULES
    for call in calls(module):
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if ast.unparse(call.func) == "torch.load":
            assert words.get("weights_only") == "True", f"line {call.lineno}"
        if ast.unparse(call.func) in {"np.load", "numpy.load"}:
            assert words.get("allow_pickle", "False") == "False", f"line {call.lineno}"


@pytest.mark.parametrize("module", modules())
def test_no_shell_and_no_foreign_code(module):
    for call in calls(module):
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert words.get("shell", "False") == "False", f"line {call.lineno}"
        assert words.get("trust_remote_code") not in {"True", "1"}, f"line {call.lineno}"
    for node in ast.walk(modules()[module].tree):
        if isinstance(node, ast.Dict):
            pairs = {
                ast.unparse(key): ast.unparse(value) for key, value in zip(node.keys, node.values, strict=True) if key
            }
            assert pairs.get("'trust_remote_code'") != "True", f"line {node.lineno}"


@pytest.mark.parametrize("module", modules())
def test_a_file_is_named_for_its_idea(module):
    assert not VAGUE.match(module.rsplit(".", 1)[-1])


@pytest.mark.parametrize("module", modules())
def test_a_file_says_what_it_is_for(module):
    """Its docstring is one sentence first, and it reads as annotations are meant from Python 3.10 on."""
    tree = modules()[module].tree
    if not tree.body or modules()[module].file.name == "__main__.py":
        return
    doc = ast.get_docstring(tree)
    assert doc, module
    assert doc.splitlines()[0].rstrip().endswith((".", ":", ",", "…", "?")) or len(doc.splitlines()) > 1
    code = [node for node in tree.body if not isinstance(node, ast.Expr)]
    if code:
        assert ast.unparse(code[0]) == "from __future__ import annotations"


@pytest.mark.parametrize("module", modules())
def test_nothing_is_left_for_later(module):
    text = modules()[module].file.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert "NotImplementedError" not in text
