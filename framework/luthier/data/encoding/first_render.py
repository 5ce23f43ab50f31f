"""A program that renders a template once, with limited processor seconds and megabytes; it does not import luthier.

stdin: as JSON, the template and a list of the variables to render it with, or null for built-in conversations.

Exit code 0: the limits were not exceeded, whether or not it could render; 3: the sandbox was violated, with the reason
on stderr; any other: a limit was exceeded.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_LONGEST = 1_000_000  # characters that a short conversation may render to
_TOOL = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}, "required": []}}
_CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
_CHAT = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good morning."}]
_CONVERSATIONS: tuple[tuple[list[dict[str, Any]], list[dict[str, Any]] | None, bool], ...] = (
    ([], None, True),
    (_CHAT[:1], None, True),
    (_CHAT, None, False),
    ([{"role": "system", "content": "Be brief."}, *_CHAT * 4], None, False),
    ([{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in _CHAT], None, False),
    (
        [
            _CHAT[0],
            {"role": "assistant", "content": "", "tool_calls": [_CALL]},
            {"role": "tool", "content": "2", "name": "add", "tool_call_id": "1"},
            _CHAT[1],
        ],
        [{"type": "function", "function": _TOOL}],
        True,
    ),
)


class _Generation(Extension):
    """`{% generation %}` as a block that changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja's own extensions write it

    def parse(self, parser: Parser) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main(seconds: int, megabytes: int) -> int:
    _limit(seconds, megabytes)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, loopcontrols],
    )
    environment.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: "1 January 2026"
    source, given = json.load(sys.stdin)
    try:
        template = environment.from_string(source)
    except (TemplateError, RecursionError):
        return 0
    for variables in given or _conversations():
        try:
            text = template.render(**variables)
            if len(text) > _LONGEST:
                return _report("renders more than a megabyte of text from a few words")
        except SecurityError as error:
            return _report(f"violates the sandbox: {str(error).rstrip('.')}")
        except (MemoryError, OverflowError):
            return 1
        except Exception:  # noqa: S112 - `Template.render` reports that it cannot render
            continue
    return 0


def _conversations() -> list[dict[str, Any]]:
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return [
        {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": answer, **tokens}
        for messages, tools, answer in _CONVERSATIONS
    ]


def _raise(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def _report(fault: str) -> int:
    print(fault, file=sys.stderr)
    return 3


def _limit(seconds: int, megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
