"""A passage that several documents hold is shown once and cited by all of them; what cannot be read is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.cli.chat_session import sources
from luthier.data.readers.by_ending import TABLE_ENDINGS
from luthier.errors import DataError
from luthier.inference.embeddings.hashed import Hashed
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents.files import DocumentFiles
from luthier_retrieval.documents.reading import FILES
from luthier_retrieval.metrics import is_of
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.passage_search import PassageSearch
from luthier_retrieval.reranking.none import NoReranking
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.segment import DIGESTS, IndexedDocument, Segment, write_segment

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = ["The bow needs rosin.", "Gut strings sound warm.", "The bow of a cello is short.", "店铺星期六开门。"]


def searched(folder: Path, holdings: list[tuple[str, str]], search, candidates: int) -> PassageSearch:
    """A search over passages (document, text), in two segments."""
    segments = []
    for number, part in enumerate((holdings[: len(holdings) // 2], holdings[len(holdings) // 2 :])):
        place = folder / str(number)
        place.mkdir()
        write_segment(
            place, [IndexedDocument(name, "", 1) for name, _ in part], [Passage(name, "", text) for name, text in part]
        )
        search.write(place, [text for _, text in part], [])
        segments.append(Segment(place))
    search.open(segments)
    return PassageSearch(segments, search, NoReranking(), candidates)


@pytest.mark.parametrize("kind", ["bm25", "dense"])
@QUICK
@given(held=st.lists(st.sampled_from(TEXTS), min_size=2, max_size=12), candidates=st.integers(1, 5))
def test_each_text_is_found_once_with_all_documents_that_hold_it(tmp_path_factory, kind, held, candidates):
    holdings = [(f"d{number}", text) for number, text in enumerate(held)]
    search = Bm25Search() if kind == "bm25" else DenseSearch(embedding=Hashed(), neighbours=Exact())
    found = searched(tmp_path_factory.mktemp("index"), holdings, search, candidates)("bow gut strings 星期六")
    texts = [passage.text for passage in found]
    assert len(texts) == len(set(texts)) == min(candidates, len(set(held)))
    for passage in found:
        assert passage.documents == tuple(name for name, text in holdings if text == passage.text)


def test_an_index_of_an_earlier_version_finds_equal_passages_too(tmp_path):
    search = searched(tmp_path, [("a", TEXTS[0]), ("b", TEXTS[1]), ("c", TEXTS[0])], Bm25Search(), 2)
    for segment in search.segments:
        stored = np.array(segment.digests)
        (segment.folder / DIGESTS).unlink()
        np.testing.assert_array_equal(Segment(segment.folder).digests, stored)


def test_a_prompt_shows_it_once_and_every_place_counts(retrieval):
    texts = {"a": "Rehairing costs 65 euros.", "b": "Rehairing costs 65 euros.", "c": "The shop is open."}
    shown = retrieval(texts)({"messages": [{"role": "user", "content": "What does rehairing cost?"}]})
    assert shown["messages"][-1]["content"].count("65 euros") == 1
    assert shown["found"] == ["a", "b"]
    (passage,) = shown["passages"]
    assert is_of(passage, {"b"})
    assert not is_of(passage, {"c"})
    assert sources("65 euros [1].", shown["passages"]) == [{"number": 1, "document": "a", "heading": "", "also": ["b"]}]


@QUICK
@given(
    contents=st.lists(
        st.tuples(
            st.sampled_from([*FILES, *TABLE_ENDINGS]), st.binary(max_size=60) | st.text(max_size=20).map(str.encode)
        ),
        max_size=5,
    )
)
def test_whatever_stands_in_a_folder_what_can_be_read_is(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("documents")
    for number, (ending, content) in enumerate(contents):
        (folder / f"{number}{ending}").write_bytes(content)
    (folder / "good.md").write_text("# Strings\n\nGut.", encoding="utf-8")
    documents = DocumentFiles(path=str(folder))
    assert "good.md" in [document.name for document in documents]
    if documents.unreadable:
        assert any(f"{len(documents.unreadable)} files or records" in sentence for sentence in documents.warnings)


def test_files_and_records_that_cannot_be_read_are_counted_with_their_reasons(tmp_path):
    (tmp_path / "a.txt").write_bytes("Geigenbögen".encode("latin-1"))
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.4 and no more")
    rows = [{"id": "x", "text": "Not too dry."}, {"id": "y"}, {"id": "z", "text": "Oiled."}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{", encoding="utf-8")
    documents = DocumentFiles(path=str(tmp_path))
    assert [document.name for document in documents] == ["x", "z"]
    (sentence,) = documents.warnings
    assert sentence.startswith(f"4 files or records of {tmp_path} cannot be read and are not searched")
    assert "not UTF-8" in sentence
    with pytest.raises(DataError, match="not UTF-8"):
        list(DocumentFiles(path=str(tmp_path / "a.txt")))
