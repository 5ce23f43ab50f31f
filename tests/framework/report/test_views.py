"""The page, the card and the terminal's table say what the record holds, and nothing that it does not."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
import yaml

from luthier.contracts.scores import Score
from luthier.errors import DataError
from luthier.reporting.card import card
from luthier.reporting.page import page
from luthier.reporting.record import DataFacts, LedgerToken, RecordedLedger, RunRecord, Sample, ScoreComparison
from luthier.reporting.terminal import table

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Elements(HTMLParser):
    """Every element with its attributes; the tags must close in the order in which they opened."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def words(text):
    return " ".join("".join(Elements(text).text).split())


def test_a_record_survives_being_saved(record, tmp_path):
    file = tmp_path / "record.json"
    record.curves["loss"].append((61, None))
    record.save(file)
    assert RunRecord.load(file) == record


def test_a_file_that_is_no_record_is_said_to_be_none(tmp_path):
    file = tmp_path / "record.json"
    file.write_text('{"seed": "x"}')
    with pytest.raises(DataError, match="no record of a run"):
        RunRecord.load(file)


def test_the_page_shows_every_fact(record):
    shown = words(page(record))
    for fact in (
        "tone-1", "Answer in our tone.", "6 min 12 s", "luthier recipe=tone", "Tiny",
        "31 of 1,000 (3.10 %)", "251.3 tokens/s", "2.2 GiB", "step-20", "reviews.jsonl", "0.500", "0.875", "+0.375",
        "0.750 to 1.000", "▲ better", "≈ not distinguishable", "as far as this sample can tell", "Good day", "Yo!",
        "4 records were skipped.", "luthier chat runs/tone-1", "2.13.0", "0123abc", "Weights are random.", "Yo↵",
    ):  # fmt: skip
        assert fact in shown


def test_the_page_is_one_file_that_asks_for_nothing(record):
    text = page(record)
    elements = Elements(text).found
    assert not {tag for tag, _ in elements} & {"script", "img", "iframe", "object", "embed", "link", "base", "form"}
    for _, attributes in elements:
        assert not {
            name for name in attributes if name.startswith("on") or name in {"src", "style", "srcset", "background"}
        }
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", text)
    (policy,) = [a["content"] for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_policy_allows_exactly_the_style_of_the_page(record):
    import base64
    import hashlib

    text = page(record)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in text or f"style-src 'sha256-{digest}'" in text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "=cmd|' /C calc'!A1",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b0m",
    "evil\u202etxt.exe\u2066",
    "[click](javascript:alert(1)) ![x](https://evil.example/p.png)",
    "| a | b |\n|---|---|\n# heading\n- item\n```",
    "\ud800 lone",
]


def everywhere(record, text):
    """The record with the text wherever data, models, recipes or users could put it."""

    def filled(value):
        if dataclasses.is_dataclass(value) and not isinstance(value, Score):
            return dataclasses.replace(
                value, **{f.name: filled(getattr(value, f.name)) for f in dataclasses.fields(value)}
            )
        if isinstance(value, str):
            return text
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, dict):
            return {
                key if key in ("method", "adaptation", "role", "content", "name") else text: filled(item)
                for key, item in value.items()
            }
        return value

    return dataclasses.replace(filled(record), artifact_kind="adapter")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_on_the_page(record, text):
    clean, dirty = Elements(page(record)), Elements(page(everywhere(record, text)))
    assert {tag for tag, _ in dirty.found} <= {tag for tag, _ in clean.found}
    assert {name for _, attributes in dirty.found for name in attributes} <= {
        name for _, attributes in clean.found for name in attributes
    }
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page(everywhere(record, text)))
    page(everywhere(record, text)).encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_the_terminal(record, text):
    shown = table(everywhere(record, text))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_the_card(record, text):
    from markdown_it import MarkdownIt

    shown = card(everywhere(record, text))
    _, front, body = shown.split("---\n", 2)
    assert set(yaml.safe_load(front)) <= {
        "license",
        "library_name",
        "base_model",
        "pipeline_tag",
        "tags",
        "model-index",
    }
    clean = MarkdownIt("commonmark").enable("table").parse(card(record).split("---\n", 2)[2])
    dirty = MarkdownIt("commonmark").enable("table").parse(body)

    def kinds(tokens):
        return {child.type for token in tokens for child in [token, *(token.children or [])]}

    assert kinds(dirty) - {"hardbreak", "softbreak"} <= kinds(clean) | {"softbreak"}
    assert len([t for t in dirty if t.type == "heading_open"]) == len([t for t in clean if t.type == "heading_open"])
    shown.encode("utf-8")


def test_a_sparse_record_leaves_no_blanks():
    sparse = RunRecord(name="bare")
    for shown in (words(page(sparse)), card(sparse), table(sparse)):
        assert "bare" in shown
        assert not re.search(r"\b(None|null|nan|undefined)\b", shown, re.IGNORECASE)
    assert "<section" not in page(sparse)
    headings = re.findall(r"^## .*$", card(sparse), re.MULTILINE)
    assert headings == ["## Limits"]
    assert not re.search(r"^## .*\n+(?=##|\Z)", card(sparse), re.MULTILINE)
    assert set(yaml.safe_load(card(sparse).split("---\n")[1])) == {"pipeline_tag", "tags"}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RunRecord) if field.name != "name"])
def test_any_one_fact_may_be_missing(record, name):
    empty = RunRecord(name="bare")
    for one in (
        dataclasses.replace(record, **{name: getattr(empty, name)}),
        dataclasses.replace(empty, **{name: getattr(record, name)}),
    ):
        for shown in (words(page(one)), card(one), table(one)):
            assert not re.search(r"\bNone\b", shown)
        assert not re.search(r"^## .*\n+(?=##|\Z)", card(one), re.MULTILINE)


def test_the_card_says_what_a_hub_reads(record):
    front = yaml.safe_load(card(record).split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "peft"
    assert front["base_model"] == "house/tiny"
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert {metric["type"]: metric["value"] for metric in metrics}["accuracy"] == 0.875


def test_the_card_tells_a_change_from_chance(record):
    text = card(record)
    assert "Accuracy rose from 0.500 to 0.875 (+0.375, 95 % interval +0.200 to +0.550, n = 16)." in text
    assert "3.410 before, 3.420 after, not distinguishable from no change" in text
    assert "| chrF | not measured | 31.25 (20.00 to 40.00) | – | – | 16 |" in text


def test_long_figures_leave_the_names_of_scores_whole(record):
    wild = Score(-123_456.7, -234_567.8, -99_999.9, 50)
    record.comparisons = [ScoreComparison(name="perplexity", before=wild, after=wild, change=wild, verdict="better")]
    shown = table(record)
    assert "\nperplexity " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_terminal_stays_within_80_columns_without_colour(record):
    shown = table(record)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    shown.encode("cp1252")
    assert "\x1b[" in table(record, colour=True)
    assert "luthier chat runs/tone-1" in shown


def test_a_verdict_of_too_few_examples_says_so(record):
    few = [dataclasses.replace(each, change=each.change and dataclasses.replace(each.change, count=4), verdict="")
           for each in record.comparisons]  # fmt: skip
    few = [dataclasses.replace(each, verdict="not distinguishable" if each.change else "") for each in few]
    told = dataclasses.replace(record, comparisons=few)
    assert "fewer than 6 examples" in table(told)
    assert "too few examples to tell" in card(told)


def test_a_long_command_is_not_broken(record):
    command = "luthier evaluate " + " ".join(f"runs/a-rather-long-name-{number}" for number in range(9))
    assert command in table(dataclasses.replace(record, next_commands={"compare": command}))


def test_a_huge_run_still_fits_and_says_what_it_leaves_out():
    score = Score(0.5, 0.4, 0.6, 16)
    text = "Lorem <ipsum> & dolor. " * 4000
    huge = RunRecord(
        name="huge",
        resolved=text,
        curves={f"curve_{n}": [(step, (step * 7919 % 1000) / 10) for step in range(50_000)] for n in range(30)},
        comparisons=[
            ScoreComparison(name=f"set/{n}", before=score, after=score, change=score, verdict="better")
            for n in range(200)
        ],
        samples=[Sample(conversation=[{"role": "user", "content": text}] * 3, reference=text, before=text, after=text)]
        * 50,
        ledger=RecordedLedger(tokens=[LedgerToken(text="<token>", role="user", weight=1.0)] * 9000),
        data=[DataFacts(name=f"file-{n}", counts={"read": n}) for n in range(500)],
        versions={f"package-{n}": "1.0" for n in range(300)},
        warnings=[text] * 200,
    )
    shown = page(huge)
    assert len(shown.encode()) < 300_000
    for left_out in (
        "160 more scores",
        "42 more samples",
        "8,600 more tokens",
        "18 more curves",
        "460 more sources",
        "240 more versions",
    ):
        assert left_out in shown
    assert "more characters" in shown


def test_texts_are_cut_shorter_where_escaping_makes_them_long(record):
    text = "<" * 4000
    sample = Sample(conversation=[{"role": "user", "content": text}] * 8, reference=text, before=text, after=text)
    assert len(page(dataclasses.replace(record, samples=[sample] * 8)).encode()) < 300_000


def test_the_load_of_experts_is_drawn_and_counted_layer_by_layer(record):
    text = words(page(record))
    assert all(part in text for part in ("model.layers.0.mlp", "0.0 %", "62.5 %", "1 of 3", "0.77"))
    bars = [attrs for tag, attrs in Elements(page(record)).found if tag == "rect"]
    assert [float(bar["height"]) for bar in bars] == [28.0, 16.8, 0.0]
    record.experts = []
    assert "Experts" not in words(page(record))
