"""Haiku for luthier: hooks only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from luthier.api import hookimpl


@hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_haiku.recipes"


@hookimpl
def luthier_check(config: Any) -> Iterable[str]:
    if config.method["_target_"].startswith("luthier_haiku.") and not config.batch.packing:
        yield "Haiku are so short that batch.packing=false would train on padding; leave it true."


@hookimpl
def luthier_report(config: Any) -> Iterable[str]:
    return ["five, seven, five"]


@hookimpl(wrapper=True)
def luthier_run(run: Any) -> Iterator[None]:
    score = yield
    (run.folder.path / "haiku.txt").write_text(f"an old silent pond\nscored {score}\n")
    return score
