"""One hash for the weights of a model."""

from __future__ import annotations

from pathlib import Path

from luthier.models.digests import weights_digest


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_hash_of_weights_does_not_depend_on_where_they_lie(tmp_path: Path) -> None:
    here = [put(tmp_path / "x" / "1", "spruce"), put(tmp_path / "x" / "2", "maple")]
    there = [put(tmp_path / "y" / "2", "maple"), put(tmp_path / "y" / "1", "spruce")]
    swapped = [put(tmp_path / "z" / "2", "spruce"), put(tmp_path / "z" / "1", "maple")]
    assert weights_digest(here) == weights_digest(there)
    assert weights_digest(here) != weights_digest(swapped)
