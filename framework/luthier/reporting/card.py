"""MODEL_CARD.md: the run's facts as a model hub reads them. What is not known is not mentioned."""

from __future__ import annotations

from typing import Any

import yaml

from luthier.contracts.report_section import ReportSection
from luthier.reporting import story
from luthier.reporting.escaping import fenced, markdown, one_line
from luthier.reporting.facts import facts
from luthier.reporting.figures import format_count, format_interval, format_number, format_signed, title
from luthier.reporting.record import RunRecord, ScoreComparison

LIBRARIES = {"adapter": "peft", "weights": "transformers"}
TAGGING, FILLING = "token-classification", "fill-mask"


def card(record: RunRecord, *, exported: bool = False) -> str:
    """The whole card, of an artifact or of an export. Text from data and recipes is escaped, so that it stays text."""
    sections = {
        "Results": _results(record),
        "Use": _use_of_export(record) if exported else _use(record),
        "Training": _list(facts(record)) + ([f"\n{markdown(record.model.note)}"] if record.model.note else []),
        "Data": _data(record),
        "Warnings": [f"- {markdown(warning)}" for warning in record.warnings],
        "Limits": [
            "The scores above are all that was measured; bias, safety and other tasks were not."
            if record.comparisons
            else "Nothing was measured: how good the model is, is not known."
        ],
        "Lineage": _list(record.model.lineage),
        "Recipe": _recipe(record),
        "Versions": _list({**record.versions, **({"commit": record.commit} if record.commit else {})}),
    }
    of_plugins = [(markdown(one.title), _of_plugin(one)) for one in record.sections]
    head = [f"---\n{_front_matter(record)}---", f"# {markdown(record.name)}", *_summary(record)]
    body = [f"## {heading}\n\n" + "\n".join(lines) for heading, lines in [*sections.items(), *of_plugins] if lines]
    return "\n\n".join([*head, *body]) + "\n"


def _front_matter(record: RunRecord) -> str:
    known: dict[str, Any] = {
        "license": one_line(record.model.licence),
        "library_name": LIBRARIES.get(record.artifact_kind, ""),
        "base_model": one_line(record.model.base),
        "pipeline_tag": _task(record),
        "tags": ["luthier", *(record.answers[key] for key in ("method", "adaptation") if record.answers.get(key))],
        "model-index": _model_index(record),
    }
    return yaml.safe_dump({k: v for k, v in known.items() if v}, sort_keys=False, allow_unicode=False, width=120)


def _task(record: RunRecord) -> str:
    if record.is_generative:
        return "text-generation"
    return {"token_classification": TAGGING, "masked_lm": FILLING}.get(record.problem, "text-classification")


def _model_index(record: RunRecord) -> list[dict[str, Any]]:
    """The scores as hubs list them, where there is a named set that they were measured on."""
    measured = [comparison for comparison in record.comparisons if comparison.after and "/" not in comparison.name]
    if not measured or not record.data:
        return []
    name = ", ".join(one_line(source.name) for source in record.data)
    metrics = [{"type": c.name, "name": title(c.name), "value": round(c.after.value, 6)} for c in measured if c.after]
    task = {"type": _task(record)}
    results = [{"task": task, "dataset": {"name": name, "type": "held-out split"}, "metrics": metrics}]
    return [{"name": one_line(record.name), "results": results}]


def _summary(record: RunRecord) -> list[str]:
    how = " and ".join(markdown(record.answers[key]) for key in ("method", "adaptation") if record.answers.get(key))
    customised = f"{markdown(record.model.name)}, customised with {how}." if record.model.name and how else ""
    return [line for line in (markdown(record.purpose), customised) if line]


def _results(record: RunRecord) -> list[str]:
    if not record.comparisons:
        return []
    lines = [f"- {markdown(story.sentence(comparison, record.confidence))}" for comparison in story.headlines(record)]
    lines += [f"- {sentence}" for sentence in [story.forgetting(record)] if sentence]
    head = ["| score | before | after | change | verdict | n |", "|---|---|---|---|---|---|"]
    rows = [_row(comparison) for comparison in record.comparisons]
    level = story.percent(record.confidence)
    note = f"\nIn parentheses: {level} bootstrap intervals over examples, paired for the change."
    return [*lines, *([""] if lines else []), *head, *rows, note]


def _of_plugin(section: ReportSection) -> list[str]:
    lines = [line for text in section.paragraphs for line in (markdown(text), "")]
    if section.columns:
        head, *rows = ("| " + " | ".join(map(markdown, row)) + " |" for row in [section.columns, *section.rows])
        lines += [head, "|" + "---|" * len(section.columns), *rows]
    return lines or [""]


def _row(comparison: ScoreComparison) -> str:
    measured = comparison.after or comparison.before
    cells = [
        markdown(title(comparison.name)),
        *(
            f"{format_number(s.value)} ({format_interval(s)})" if s else "not measured"
            for s in (comparison.before, comparison.after)
        ),
        f"{format_signed(comparison.change.value)} ({format_interval(comparison.change, sign=True)})"
        if comparison.change
        else "–",
        markdown(comparison.verdict) or "–",
        format_count(measured.count) if measured else "0",
    ]
    return f"| {' | '.join(cells)} |"


def _use(record: RunRecord) -> list[str]:
    if not record.artifact:
        return []
    asked = '[[{"role": "user", "content": "Hello"}]]'
    call = f"model.generate({asked})" if record.is_generative else f"model.rewards({asked})"
    if record.labels:
        call = 'model.tag(["Hello"])' if _task(record) == TAGGING else 'model.classify(["Hello"])'
    code = f'import luthier\n\nmodel = luthier.load("path/to/this/folder")\nprint({call}[0])'
    if _task(record) == FILLING:
        code = code.replace(f"print({call}[0])", "network, tokenizer = model.network, model.tokenizer")
    plain = _plain(record)
    return [fenced(code, "python"), *([f"\n{plain}"] if plain else [])]


def _use_of_export(record: RunRecord) -> list[str]:
    kind, folder = _auto_class(record), '"path/to/this/folder"'
    code = (
        f"from transformers import AutoTokenizer, {kind}\n\n"
        f"network = {kind}.from_pretrained({folder})\n"
        f"tokenizer = AutoTokenizer.from_pretrained({folder})"
    )
    return [fenced(code, "python")]


def _plain(record: RunRecord) -> str:
    """Who else reads the folder: as it was proved, or as its kind is where nothing was."""
    if any(proof.what == "Artifact" and proof.reader == "luthier" for proof in record.proofs):
        return "Only luthier reads the folder as it was trained."
    return {
        "adapter": "The folder is a PEFT adapter: `peft.PeftModel.from_pretrained(base, folder)` reads it too.",
        "weights": f"The folder is a transformers model: `transformers.{_auto_class(record)}` reads it too.",
    }.get(record.artifact_kind, "")


def _auto_class(record: RunRecord) -> str:
    if record.model.other_parts:
        return record.model.architecture  # the whole network, not its text tower alone
    if record.is_generative:
        return "AutoModelForCausalLM"
    classes = {TAGGING: "AutoModelForTokenClassification", FILLING: "AutoModelForMaskedLM"}
    return classes.get(_task(record), "AutoModelForSequenceClassification")


def _data(record: RunRecord) -> list[str]:
    lines = []
    for source in record.data:
        counted = ", ".join(f"{format_count(amount)} {markdown(name)}" for name, amount in source.counts.items())
        licence = f"licence {markdown(source.licence)}" if source.licence else ""
        digest = f"digest `{one_line(source.digest).replace('`', '')}`" if source.digest else ""
        details = "; ".join(filter(None, [counted, licence, digest]))
        lines.append(f"- {markdown(source.name)}" + (f": {details}" if details else ""))
    if record.splits:
        lines.append(
            "- examples: " + ", ".join(f"{format_count(n)} {markdown(name)}" for name, n in record.splits.items())
        )
    return lines


def _recipe(record: RunRecord) -> list[str]:
    lines = [fenced(record.command, "sh")] if record.command else []
    return lines + ([f"\n{fenced(record.resolved, 'yaml')}"] if record.resolved else [])


def _list(pairs: dict[str, str]) -> list[str]:
    return [f"- {markdown(name)}: {markdown(text)}" for name, text in pairs.items() if text]
