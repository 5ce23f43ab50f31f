"""A proof in the cache that is not as it was written is no proof: it is made again."""

from __future__ import annotations

import pytest

from luthier.fetch.cache import cache_folder
from luthier.models import proofs


def stored(key: str, facts: dict) -> None:
    proofs._kept(key, facts)


@pytest.mark.parametrize("damage", ["changed", "cut", "brackets", "gone"])
def test_a_changed_proof_is_not_believed_and_is_written_again(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path))
    stored("k", {"right": False})
    assert proofs._read("k") == {"right": False}
    file = cache_folder("proofs") / "k" / "proof.json"
    if damage == "gone":
        file.unlink()
    else:
        file.write_text({"changed": '{"right": true}', "cut": '{"ri', "brackets": "[" * 200_000}[damage])
    assert proofs._read("k") is None
    stored("k", {"right": False})
    assert proofs._read("k") == {"right": False}
