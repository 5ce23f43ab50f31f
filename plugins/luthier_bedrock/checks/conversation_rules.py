"""What a job asks of a conversation: turns, blocks, media, reasoning, reserved words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from luthier_bedrock.checks import tool_rules
from luthier_bedrock.checks.service_model import faults, member, shape_of
from luthier_bedrock.checks.table import Base, table

VERSION = "bedrock-conversation-2024"
KEYS = ("schemaVersion", "system", "messages", "toolConfig")
MEDIA = ("image", "video", "document", "audio")
_PATH = re.compile(r"[\w\-/.]+", re.ASCII)


def conversation_faults(row: Mapping[str, Any], base: Base, job: str) -> list[str]:
    """What is wrong with a line, a sentence each; with an empty list nothing that is known.

    The service's own model of Converse goes first: where the line is not of its shape, nothing else is asked.
    """
    shape = shape_of("bedrock-runtime", "Converse")
    found = [f"the line has no `{key}`" for key in ("messages",) if key not in row]
    found += [f"`{key}` is no field of this format" for key in row if key not in KEYS]
    found += [one for key in KEYS[1:] if key in row for one in faults(member(shape, key), row[key], key)]
    if found:
        return found
    return [*_version(row, job), *_turns(row["messages"], job), *_blocks(row, base), *tool_rules.faults(row)]


def media_of(row: Mapping[str, Any]) -> set[str]:
    """The kinds of media in a conversation of the right shape."""
    turns = row.get("messages")
    blocks = [block for turn in turns for block in turn["content"]] if isinstance(turns, list) else []
    return {name for block in blocks for name in block if name in MEDIA}


def buckets_of(row: Mapping[str, Any]) -> set[str]:
    """The S3 buckets in which the media of a conversation lie."""
    uris = (
        block[name]["source"].get("s3Location", {}).get("uri", "")
        for turn in row["messages"] for block in turn["content"] for name in block if name in MEDIA
    )  # fmt: skip
    return {uri.removeprefix("s3://").partition("/")[0] for uri in uris if uri}


def reserved_words(text: str) -> list[str]:
    """The reserved words in a text, in capitals or not."""
    return [word for word in table()["reserved"]["words"] if word.lower() in text.lower()]


def _version(row: Mapping[str, Any], job: str) -> Iterator[str]:
    if job == "distillation" and row.get("schemaVersion") != VERSION:
        yield f"`schemaVersion` is {row.get('schemaVersion')!r}; a distillation job needs {VERSION!r}"
    elif "schemaVersion" in row and not isinstance(row["schemaVersion"], str):
        yield "`schemaVersion` is no text"


def _turns(turns: list[Any], job: str) -> Iterator[str]:
    if not turns:
        yield "`messages` is empty"
        return
    for index, turn in enumerate(turns):
        wanted = ("user", "assistant")[index % 2]
        if turn["role"] != wanted:
            yield f"`messages[{index}]` is a turn of the {turn['role']}, where one of the {wanted} is expected"
            return
    if job != "distillation" and turns[-1]["role"] != "assistant":
        yield "the last turn is the user's; it must be the assistant's"


def _blocks(row: Mapping[str, Any], base: Base) -> Iterator[str]:
    for index, block in enumerate(row.get("system") or ()):
        yield from _reserved(block.get("text", ""), f"system[{index}]")
    for index, turn in enumerate(row["messages"]):
        yield from _turn(turn, f"messages[{index}]", base)
    all_media = [name for turn in row["messages"] for block in turn["content"] for name in block if name in MEDIA]
    for name, limit in (("video", "videos"), ("document", "documents")):
        most = table()[limit]["most"]
        if all_media.count(name) > most:
            yield f"the record has {all_media.count(name)} {name}s; at most {most} is taken"
    if "video" in all_media and {"image", "document"} & set(all_media):
        yield "the record has a video beside images or documents"


def _turn(turn: Mapping[str, Any], at: str, base: Base) -> Iterator[str]:
    names = [name for block in turn["content"] for name in block]
    texts = "".join(block.get("text", "") for block in turn["content"])
    if not set(names) - {"reasoningContent"}:
        yield f"`{at}` has no content but reasoning" if names else f"`{at}` has no content"
    elif set(names) <= {"text"} and not texts.strip():
        yield f"the text of `{at}` is empty"
    if names.count("image") > table()["images"]["most"]:
        yield f"`{at}` has {names.count('image')} images; at most {table()['images']['most']} are taken"
    for index, block in enumerate(turn["content"]):
        place = f"{at}.content[{index}]"
        yield from _reserved(block.get("text", ""), place)
        for name in (name for name in block if name in MEDIA):
            yield from _media(block[name], name, place, turn["role"], base)
        if "reasoningContent" in block:
            yield from _reasoning(block["reasoningContent"], place, turn["role"], base)


def _media(block: Mapping[str, Any], name: str, at: str, role: str, base: Base) -> Iterator[str]:
    if role == "assistant":
        yield f"`{at}` is {_an(name)} in a turn of the assistant; only the user's turns may have one"
    if name not in base.media:
        yield f"`{at}` is {_an(name)}; {base.name} is trained on {_and('text', *base.media)}"
    elif str(block.get("format")).lower() not in base.media[name]:
        yield f"`{at}.{name}.format` is {block.get('format')!r}; {base.name} takes {', '.join(base.media[name])}"
    location = block["source"].get("s3Location")
    if location is None:
        yield f"`{at}.{name}.source` is no s3Location; a job reads media from S3"
    elif not _PATH.fullmatch(location["uri"].removeprefix("s3://")):
        yield f"`{at}.{name}.source.s3Location.uri` has other characters than letters, digits, _, -, / and ."


def _reasoning(content: Mapping[str, Any], at: str, role: str, base: Base) -> Iterator[str]:
    if role != "assistant":
        yield f"`{at}` is reasoning in a turn of the user"
    if not base.reasoning:
        yield f"`{at}` is reasoning, on which {base.name} is not trained"
    text = content.get("reasoningText", {}).get("text")
    if not text:
        yield f"`{at}.reasoningContent` has no reasoningText with text"
    else:
        yield from _reserved(text, f"{at}.reasoningContent")


def _reserved(text: str, at: str) -> Iterator[str]:
    if words := reserved_words(text):
        yield f"`{at}` holds the reserved word{'s' if len(words) > 1 else ''} {', '.join(map(repr, words))}"


def _an(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _and(*names: str) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"{names[0]} alone"
