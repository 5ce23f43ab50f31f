"""The index on disk grows incrementally and is consistent at every moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from luthier.errors import DataError, ResourceError
from luthier.inference.embeddings.hashed import Hashed
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents import Document
from luthier_retrieval.neighbours.hnsw import Hnsw
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.searches.hybrid import HybridSearch
from luthier_retrieval.store import IndexStore

WORDS = ["spruce", "maple", "ebony", "bridge", "scroll", "peg", "rib", "glue", "varnish", "bow", "hair", "string"]


def texts(count: int, start: int = 0) -> dict[str, str]:
    draw = np.random.default_rng(7)
    drawn = [" ".join(draw.choice(WORDS, 8)) for _ in range(start + count)]
    return {f"d{number}": f"{drawn[number]} n{number}" for number in range(start, start + count)}


def documents(of: dict[str, str]) -> list[Document]:
    return [Document(name, text) for name, text in of.items()]


def one_passage(document: Document):
    if document.text:
        yield Passage(document.name, "", document.text)


class Counting(Hashed):
    """Counts the texts it embeds."""

    def __init__(self) -> None:
        super().__init__(width=32)
        self.texts = 0

    def __call__(self, texts, *, is_query=False):
        self.texts += 0 if is_query else len(texts)
        return super().__call__(texts, is_query=is_query)


def search(embedding=None) -> HybridSearch:
    dense = DenseSearch(embedding=embedding or Hashed(width=32), neighbours=Hnsw())
    return HybridSearch(searches={"words": Bm25Search(), "meaning": dense})


def scores_by_name(store: IndexStore, search: HybridSearch, question: str) -> list[tuple[str, float]]:
    names = [name for segment in store.segments() for name in segment.names()]
    numbers, scores = search.searches["words"](question, 20)
    return sorted((names[number], round(float(score), 4)) for number, score in zip(numbers, scores, strict=True))


def test_an_index_that_grew_finds_what_one_that_was_built_at_once_finds(tmp_path: Path):
    embedding = Counting()
    grown, at_once = IndexStore(tmp_path / "grown", 1000), IndexStore(tmp_path / "once", 1000)
    mine = search(embedding)
    assert grown.update(documents(texts(40)), one_passage, mine).new == 40
    before = {segment.folder.name for segment in grown.segments()}
    more = {**texts(45), "d3": "another text about scroll and peg"}
    del more["d7"]
    built = grown.update(documents(more), one_passage, mine)
    assert (built.documents, built.new, built.gone) == (44, 6, 2)
    assert embedding.texts == 46, "only what is new is embedded"
    assert before
    other = search()
    at_once.update(documents(more), one_passage, other)
    for question in ("scroll", "glue n41", "maple bow n3 n7"):
        assert scores_by_name(grown, mine, question) == scores_by_name(at_once, other, question)
    assert not [name for name, _ in scores_by_name(grown, mine, "n7")]


def test_a_small_addition_leaves_the_large_segments_as_they_are(tmp_path: Path):
    store, mine = IndexStore(tmp_path, 1000), search()
    store.update(documents(texts(100)), one_passage, mine)
    (large,) = store.segments()
    stamp = os.stat(large.folder / "passages.arrow").st_mtime_ns
    for count in (101, 102, 103, 104, 105):
        store.update(documents(texts(count)), one_passage, mine)
        first, *small = store.segments()
        assert first.folder == large.folder
        assert len(small) <= 2
    assert os.stat(large.folder / "passages.arrow").st_mtime_ns == stamp
    unchanged = [segment.folder for segment in store.segments()]
    assert store.update(documents(texts(105)), one_passage, mine).new == 0
    assert [segment.folder for segment in store.segments()] == unchanged


def test_what_is_embedded_at_once_is_bounded_and_empty_documents_are_named(tmp_path: Path):
    store = IndexStore(tmp_path, 10)
    built = store.update(documents({**texts(35), "blank": ""}), one_passage, search())
    assert [len(segment) for segment in store.segments()] == [10, 10, 10, 5]
    assert built.empty == ["blank"]
    with pytest.raises(DataError, match="Two documents are called 'd0'"):
        store.update([*documents(texts(1)), *documents(texts(1))], one_passage, search())


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from luthier_retrieval.store import IndexStore
from tests.plugins.retrieval.test_store import documents, search, texts, one_passage
IndexStore(Path({folder!r}), 20).update(documents(texts(20_000)), one_passage, search())
"""


def test_a_build_that_is_killed_leaves_the_old_index_whole_and_goes_on_later(tmp_path: Path):
    store, mine = IndexStore(tmp_path, 20), search()
    store.update(documents(texts(30)), one_passage, mine)
    manifest = (tmp_path / "manifest.json").read_bytes()
    before = scores_by_name(store, mine, "scroll n12")
    program = BUILD.format(folder=str(tmp_path), root=str(Path(__file__).parents[3]))
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as building:
        deadline = time.monotonic() + 240
        while len(list(tmp_path.glob("[0-9a-f]*/bm25/lengths.npy"))) < 8 and time.monotonic() < deadline:
            assert building.poll() is None, "the build ended before it could be killed"
            time.sleep(0.01)
        os.killpg(building.pid, signal.SIGKILL)
    assert (tmp_path / "manifest.json").read_bytes() == manifest
    again = search()
    again.open(store.segments())
    assert scores_by_name(store, again, "scroll n12") == before
    written = [folder for folder in tmp_path.iterdir() if (folder / "bm25").is_dir() and folder.name[0] != "."]
    embedding = Counting()
    built = store.update(documents(texts(200)), one_passage, search(embedding))
    assert built.documents == 200
    assert len(written) >= 8
    assert embedding.texts < 170 - 20 * 4, "segments that were finished are taken up"
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_missing_segment_is_named(tmp_path: Path):
    store = IndexStore(tmp_path, 20)
    store.update(documents(texts(3)), one_passage, search())
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "segments": ["gone"]}))
    with pytest.raises(ResourceError, match="lacks gone"):
        store.segments()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"segments": 3}', '{"segments": ["../x"]}', "[" * 200_000])
def test_a_damaged_manifest_is_made_again_with_a_warning_and_refused_where_nothing_can_be_made(tmp_path, caplog, text):
    store = IndexStore(tmp_path, 1000)
    store.update(documents(texts(5)), one_passage, search())
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ResourceError, match="not as it was written"):
        store.segments()
    assert store.update(documents(texts(5)), one_passage, search()).documents == 5
    assert len([line for line in caplog.messages if "manifest of the index" in line]) == 1
    assert sum(map(len, store.segments())) == 5
