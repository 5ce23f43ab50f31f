"""`luthier ask-teacher FOLDER <answers>`: let a recipe's teacher answer its prompts, once, as data for students."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.api import Call, DataError, Verb

if TYPE_CHECKING:
    from luthier.api import Data
    from luthier_distillation.teacher_sampling import Written

FILES = {"messages": "answers.jsonl", "bedrock": "answers.bedrock.jsonl"}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="where the answers are kept; what is there already is not asked again"
    )
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")
    parser.add_argument(
        "--format",
        choices=sorted(FILES),
        default="messages",
        help="of the file: OpenAI's messages, or Bedrock's (messages)",
    )


def act(call: Call) -> int:
    from luthier_distillation import top_k_alignment as tops
    from luthier_distillation.student_teacher_inputs import tokens
    from luthier_distillation.teacher_recipe import teacher_parts
    from luthier_distillation.teacher_sampling import Asking

    asked = call.arguments
    method, parts = teacher_parts(call.composer(asked.config_dir).compose(asked.answers))
    data, device = parts.data, parts.trainer.device
    asking = Asking(method, data, device, asked.folder)
    written = list(asking(call.console.say))
    if not written:
        raise DataError("No answer of the teacher passes.", hint=f"{asking.choice.facts()}")
    file = asked.folder / FILES[asked.format]
    _write(file, written, data, asked.format)
    lineage, tokenizer = method.teacher.lineage(), method.model.tokenizer
    rows = [("teacher", str(lineage.get("name", ""))), *asking.choice.facts().items(), ("answers in", str(file))]
    facts: dict[str, object] = {"answers": len(written), "file": str(file), **dict(asking.choice.counts)}
    if any(each.reply.likely for each in written):
        said = [(tokens(data.prompt(each.example), tokenizer, asking=False), each.reply) for each in written]
        width = int(method.model.config.get_text_config().vocab_size)
        kept = tops.keep(asked.folder, said, tokenizer, lineage, top=max(1, lineage["top"]), width=width)
        rows.append(
            ("likely tokens", f"known of {kept['known']:,} of {kept['tokens']:,} tokens: method.kept={asked.folder}")
        )
        facts |= kept
    call.console.data(call.console.table(("", ""), rows), facts)
    return 0


def _write(file: Path, written: list[Written], data: Data, form: str) -> None:
    """The answers, and in our own form also the examples that are held out for the test, as they are."""
    from luthier_distillation.bedrock import prompt_and_answer

    examples = [each.example for each in written]
    if form == "bedrock":
        rows = [prompt_and_answer(example["messages"]) for example in examples if example["split"] == "train"]
    else:
        rows = [
            {key: example[key] for key in ("messages", "tools", "split") if key in example}
            for example in [*examples, *data.examples("test")]
        ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    temporary = file.with_name(f".tmp-{file.name}")
    temporary.write_text(lines, encoding="utf-8")
    temporary.replace(file)


VERB = Verb("ask-teacher", "Let a recipe's teacher answer its prompts, for students to learn from", declare, act)
