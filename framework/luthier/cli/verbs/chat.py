"""`luthier chat RUN`: chat with the model of a finished run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.cli.call import Call
from luthier.errors import DataError, RecipeError
from luthier.errors.suggestions import nearest
from luthier.reporting.console import Console, harmless

if TYPE_CHECKING:
    from luthier.cli.chat_session import Chat

HELP = "/reset forgets the conversation, /system TEXT changes the system prompt, /quit ends."


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run, or an artifact")
    parser.add_argument("--message", metavar="TEXT", help="say one thing, print the answer and end")
    parser.add_argument("--system", metavar="TEXT", default="", help="a system prompt")
    parser.add_argument("--tools", type=Path, metavar="FILE", help="a JSON file of tools that the model may call")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="of one answer (default: 256)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0, the default: the likeliest")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw from the likeliest that make up P")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn")


def _tools(file: Path | None) -> list[dict[str, Any]]:
    """The definitions in a JSON file; RecipeError where there is none."""
    if file is None:
        return []
    from luthier.data.formats.tools import tools

    try:
        return tools(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{file} cannot be read: {error.strerror}.", where="--tools") from error


def act(call: Call) -> int:
    from luthier.cli.chat_session import Chat
    from luthier.contracts.sampling import Sampling
    from luthier.workflows.artifact import load

    arguments = call.arguments
    sampling = Sampling(
        max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        seed=arguments.seed,
    )
    artifact = load(arguments.run, plugins=call.plugins, vouched=tuple(call.flags.trusted))
    chat = Chat(artifact, sampling, arguments.system, tools=_tools(arguments.tools))
    if arguments.message is not None:
        _answer(chat, arguments.message, call.console)
        return 0
    if sys.stdin.isatty():
        call.console.say(HELP)
    for line in _lines():
        if line.startswith("/") and not _carry_out(chat, line, call.console):
            return 0
        if line and not line.startswith("/"):
            try:
                _answer(chat, line, call.console)
            except DataError as error:  # such as a conversation that has grown too long
                call.console.say(f"{error} /reset starts anew.")
    return 0


def _lines() -> Iterator[str]:
    """What the person types, or the lines of a pipe."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin)
        return
    with suppress(ImportError):
        import readline  # noqa: F401 - gives input() a history
    while True:
        try:
            yield input("you> ").strip()
        except EOFError:
            return


def _answer(chat: Chat, text: str, console: Console) -> None:
    if console.as_json:
        record = chat.say(text)
        print(json.dumps({"message": text, **record}), flush=True)
        return
    record = chat.say(text, lambda piece: print(harmless(piece, sys.stdout), end="", flush=True))
    print()
    for source in record.get("sources", ()):
        place = " › ".join(filter(None, [source["document"], source["heading"]]))
        also = f" (also in {', '.join(source['also'])})" if "also" in source else ""
        console.say(harmless(f"[{source['number']}] {place}{also}", sys.stderr))


def _carry_out(chat: Chat, line: str, console: Console) -> bool:
    """Carry out a line that starts with a slash; False ends the chat."""
    word, _, rest = line.partition(" ")
    commands: dict[str, Callable[[], Any]] = {
        "/reset": chat.reset,
        "/system": lambda: setattr(chat, "system", rest),
        "/help": lambda: console.say(HELP),
        "/quit": lambda: None,
    }
    if word not in commands:
        console.say(f"There is no {word}. {nearest(word, commands, 'There are')}")
    else:
        commands[word]()
    return word != "/quit"
