"""Hooks only; nothing here imports torch or botocore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from luthier.api import Verb


@hookimpl
def luthier_verbs() -> Iterator[Verb]:
    from luthier.api import Verb
    from luthier_bedrock import verb

    help_ = "Convert and check data for Amazon Bedrock and Nova, write requests of jobs, read what jobs leave"
    yield Verb("bedrock", help_, verb.declare, verb.act)
