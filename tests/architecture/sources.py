"""The project's own source, parsed: what the tests of this folder look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "torch", "transformers", "pytorch_lightning", "lightning", "datasets", "peft", "accelerate", "wandb", "pydantic",
    "optuna",
}  # fmt: skip
"""What takes seconds to import."""
FOLDERS = [ROOT / "framework", ROOT / "plugins", ROOT / "recipes"]


@dataclass(frozen=True)
class Module:
    name: str
    file: Path

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.file)

    @property
    def package(self) -> str:
        """Its place in luthier: `luthier.data.packing` is of `data`; of a plugin, the plugin."""
        words = self.name.split(".")
        return words[1] if words[0] == "luthier" and len(words) > 1 else words[0]

    def imports(self, *, lazy: bool) -> set[str]:
        """The modules that it imports, at its top or, with `lazy`, anywhere; not those for type checkers alone."""
        return set(_imports(self.tree.body, lazy))


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _imports(nodes: list[ast.stmt], lazy: bool) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (_module(node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, lazy)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazy:
            continue
        else:
            for name in ("body", "orelse", "finalbody", "handlers"):
                yield from _imports(getattr(node, name, []), lazy)


def _module(package: str, name: str) -> str:
    full = f"{package}.{name}"
    return full if full in modules() else package


@cache
def modules() -> dict[str, Module]:
    found = {}
    for folder in FOLDERS:
        for file in sorted(folder.rglob("*.py")):
            words = file.relative_to(folder).with_suffix("").parts
            name = ".".join(words[:-1] if words[-1] == "__init__" else words)
            found[name] = Module(name, file)
    return found


def core() -> list[Module]:
    return [module for name, module in modules().items() if name.split(".")[0] == "luthier"]


def plugins() -> list[Module]:
    owners = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    return [module for name, module in modules().items() if name.split(".")[0] in owners]
