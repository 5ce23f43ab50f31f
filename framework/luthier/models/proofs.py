"""What was proved on the tiny twin of a configuration, kept under a hash so that it is proved once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from luthier.fetch.cache import cache_folder, cache_is_read_only
from luthier.fetch.once import build_once, is_intact
from luthier.models.auto_class import is_encoder
from luthier.models.twin import is_of_transformers, twin_config, twin_network

ROOT = Path(__file__).parents[1]
PROVED = ("models", "inference/generation")
"""The folders of this package whose code is what a proof is about: a change of it is proved anew."""

LEAST = 30
"""The tokens that a twin of a class that is unknown here must read: as many as are tried."""

Facts = dict[str, Any]
"""What a proof found out, as JSON holds it."""


class NoTwin(Exception):  # noqa: N818 - read as `except NoTwin`
    """No small network of the configuration can be built, such as where a model brings code of its own."""


_known: dict[str, Facts] = {}


def proved_on_twin(
    kind: str, config: Any, settings: str, prove: Callable[[nn.Module], Facts], *, within: bool = False
) -> Facts:
    """What `prove` finds out of the twin of a configuration, or `within` its border; NoTwin where there is none.

    It is kept under the hash of the twin's configuration, the `kind` of proof with its `settings`, the code that is
    proved, and the versions of torch and transformers. What `prove` raises is not kept.
    """
    try:
        stated = twin_config(config, within=within).to_json_string(use_diff=False)
    except Exception as error:  # whatever anybody's configuration raises
        raise NoTwin from error
    text = json.dumps([kind, stated, settings, *_versions()])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    if key not in _known:
        _known[key] = _read(key) or _kept(key, prove(readable_twin(config, within=within)))
    return _known[key]


@cache
def _versions() -> list[str]:
    sources = [file for folder in PROVED for file in sorted((ROOT / folder).rglob("*.py"))]
    own = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    return [own, *(version(name) for name in ("torch", "transformers"))]


def readable_twin(config: Any, attention: str = "eager", *, within: bool = False) -> nn.Module:
    """A twin that was seen to read a text; NoTwin where there is none."""
    try:
        network = twin_network(config, attention, within=within)
        length = 2 if is_of_transformers(network) else LEAST  # a setting may mean something else where it is unknown
        with torch.no_grad():
            cache = {} if is_encoder(config) else {"use_cache": False}
            network(input_ids=torch.full((1, length), 3), **cache)  # its parts fit together
        return network
    except Exception as error:  # the network cannot be as small as that, for whatever reason
        raise NoTwin from error


def _read(key: str) -> Facts | None:
    folder = cache_folder("proofs") / key
    if not is_intact(folder):  # not there, or not as it was written: it is proved again
        return None
    facts: Facts = json.loads(_file(folder).read_text(encoding="utf-8"))
    return facts


def _kept(key: str, facts: Facts) -> Facts:
    def write(folder: Path) -> None:
        _file(folder).write_text(json.dumps(facts), encoding="utf-8")

    if not cache_is_read_only():
        build_once(cache_folder("proofs") / key, write)
    return facts


def _file(folder: Path) -> Path:
    return folder / "proof.json"
