"""Reading and chunking of documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.errors import DataError
from luthier_retrieval.chunking import Chunker
from luthier_retrieval.documents import Document
from luthier_retrieval.documents.files import DocumentFiles
from luthier_retrieval.documents.shipped import ShippedDocuments

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 44>>stream
BT /F1 18 Tf 10 100 Td (Hide glue holds.) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R/Size 6>>
startxref
0
%%EOF
"""
HTML = """<html><head><title>Bows</title><style>p {color: red}</style></head><body><nav>Home</nav>
<h1>Rehair</h1><p>It costs <b>65</b> euros.</p><script>alert("no")</script></body></html>"""


def test_a_folder_of_many_kinds_is_read_and_the_rest_is_counted(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Plain words.", encoding="utf-8")
    (tmp_path / "b.md").write_text("# Strings\r\n\r\nGut.", encoding="utf-8", newline="")
    (tmp_path / "c.html").write_text(HTML, encoding="utf-8")
    (tmp_path / "d.pdf").write_bytes(PDF)
    rows = [{"id": "x", "title": "Air", "text": "Not too dry."}, {"text": "Without a name."}]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "f.png").write_bytes(b"no text")
    (tmp_path / ".hidden.txt").write_text("never read", encoding="utf-8")
    folder = DocumentFiles(path=str(tmp_path))
    documents = {document.name: document for document in folder}
    assert set(documents) == {"notes/a.txt", "b.md", "c.html", "d.pdf", "x", "e.jsonl:2"}
    assert documents["b.md"].text == "# Strings\n\nGut."
    assert documents["c.html"].title == "Bows"
    assert documents["c.html"].text == "# Rehair\n\nIt costs **65** euros."
    assert documents["d.pdf"].text == "## Page 1\n\nHide glue holds."
    assert documents["x"].title == "Air"
    assert folder.warnings == [f"1 files below {tmp_path} are of an unsupported kind (f.png)."]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "latin.txt").write_bytes("Geigenbögen".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8: byte 7"):
        list(DocumentFiles(path=str(tmp_path)))
    (tmp_path / "rows.jsonl").write_text('{"body": "here"}', encoding="utf-8")
    with pytest.raises(DataError, match="no text in 'text'") as error:
        list(DocumentFiles(path=str(tmp_path / "rows.jsonl")))
    assert "It has body" in error.value.hint
    (only,) = DocumentFiles(path=str(tmp_path / "rows.jsonl"), columns={"text": "body"})
    assert only.text == "here"
    with pytest.raises(DataError, match="There is no"):
        list(DocumentFiles(path=str(tmp_path / "nowhere")))


def test_passages_follow_the_structure_and_know_the_headings_above_them(tokenizer):
    text = (
        "# Bows\n\n## Rehair\n\nIt costs 65 euros.\n\n```\n# no heading\n```\n\n## Care\n\nLoosen the hair.\n\nWipe it."
    )
    chunks = Chunker(tokenizer, 24, 0)
    passages = list(chunks(Document("bows.md", text, "Shop", markdown=True)))
    assert [(one.heading, one.text) for one in passages if "hair." in one.text or "65" in one.text] == [
        ("Shop › Bows", "## Rehair\n\nIt costs 65 euros."),
        ("Shop › Bows", "## Care\n\nLoosen the hair."),
    ]
    assert ("Shop › Bows › Care", "Wipe it.") in [(one.heading, one.text) for one in passages]
    assert all(len(tokenizer.encode(one.text, add_special_tokens=False)) <= 24 for one in passages)


def test_adjacent_passages_share_no_more_than_the_overlap(tokenizer):
    text = " ".join(f"Sentence {number} here." for number in range(12))
    apart, over = (list(Chunker(tokenizer, 30, overlap)(Document("a", text))) for overlap in (0, 12))
    assert "".join(one.text.replace(" ", "") for one in apart) == text.replace(" ", "")
    assert len(over) > len(apart)
    shared = over[1].text[: over[1].text.index(".") + 1]
    assert over[0].text.endswith(shared)


def test_every_section_of_a_poisoned_document_holds_an_injection():
    clean, poisoned = list(ShippedDocuments()), list(ShippedDocuments(name="poisoned"))
    assert [one.name for one in clean] == [one.name for one in poisoned]
    for one, other in zip(clean, poisoned, strict=True):
        assert other.text.count("MARZIPAN") >= one.text.count("\n## ") > 0
        assert "MARZIPAN" not in one.text
