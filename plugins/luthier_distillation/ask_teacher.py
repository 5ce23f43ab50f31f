"""`luthier ask-teacher FOLDER <answers>`: sample a recipe's teacher on its prompts, once, as data for students."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.api import Call, DataError, Verb

if TYPE_CHECKING:
    from luthier.api import Data, Example

FILES = {"messages": "answers.jsonl", "bedrock": "answers.bedrock.jsonl"}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="where the answers are stored; prompts that have one there are not sent again"
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
    from luthier_distillation.student_teacher_inputs import encode
    from luthier_distillation.teacher_recipe import teacher_parts
    from luthier_distillation.teacher_sampling import TeacherSampling
    from luthier_distillation.top_k_alignment import cache_replies

    arguments = call.arguments
    method, parts = teacher_parts(call.composer(arguments.config_dir).compose(arguments.answers))
    data, sequences = parts.data, method.sequences
    sampling = TeacherSampling(method, data, parts.trainer.device, arguments.folder)
    answered = list(sampling(call.console.say))
    if not answered:
        raise DataError("No answer of the teacher passes.", hint=f"{sequences.facts()}")
    file = arguments.folder / FILES[arguments.format]
    _write(file, [one.example for one in answered], data, arguments.format)
    lineage, tokenizer = method.teacher.lineage(), method.model.tokenizer
    rows = [("teacher", str(lineage.get("name", ""))), *sequences.facts().items(), ("answers in", str(file))]
    facts: dict[str, object] = {"answers": len(answered), "file": str(file), **dict(sampling.sequences.counts)}
    if any(one.reply.likely for one in answered):
        pairs = [(encode(data.prompt(one.example), tokenizer, allows_unanswered=False), one.reply) for one in answered]
        vocab_size = int(method.model.config.get_text_config().vocab_size)
        cached = cache_replies(
            arguments.folder, pairs, tokenizer, lineage, top=max(1, lineage["top"]), vocab_size=vocab_size
        )
        known = f"of {cached['known']:,} of {cached['tokens']:,} tokens: method.offline_teacher={arguments.folder}"
        rows.append(("distributions", known))
        facts |= cached
    call.console.data(call.console.table(("", ""), rows), facts)
    return 0


def _write(file: Path, examples: list[Example], data: Data, form: str) -> None:
    """Write the answered examples; in the format of messages also those of the test split, as they are."""
    from luthier_distillation.bedrock import prompt_and_answer

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
