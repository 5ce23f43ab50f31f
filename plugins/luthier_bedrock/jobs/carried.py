"""What becomes of each setting: carried over as it is, changed to what the service takes, or left to the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from luthier_bedrock.jobs.recipe import package_and_class, setting

SERVICE = "the request has no field for it: the service decides"
LEFT = {
    "model": "the base is trained in its place",
    "adaptation": SERVICE,
    "prompt": "a job reads the data as they stand: luthier bedrock convert writes them",
    "optimizer.schedule": SERVICE,
    "optimizer.weight_decay": SERVICE,
    "optimizer.beta1": SERVICE,
    "optimizer.beta2": SERVICE,
    "optimizer.eps": SERVICE,
    "trainer.clip": SERVICE,
    "trainer.max_steps": "the request counts epochs alone: all of them are trained",
    "trainer.stop": "the request has no field for it: all epochs are trained",
    "trainer.keep_best": SERVICE,
    "batch.size": SERVICE,
    "batch.length": SERVICE,
    "batch.packing": SERVICE,
    "seed": "the request has no field for it: a job is not made again bit for bit",
    "evaluation": "a job gives its losses: luthier bedrock results reads them",
}
"""What is told of a setting that a request cannot say; nothing is told of one that the recipe does not use."""
_UNUSED = (("luthier", "Never"), ("luthier", "ChatPrompt"), ("luthier_reward", "NoKLPenalty"))
"""Packages and classes of parts that do nothing."""


@dataclass(frozen=True)
class Fate:
    """A setting, its value, where it stands in the request (empty: nowhere), and what is to be known of it."""

    setting: str
    value: Any
    into: str = ""
    written: Any = None
    note: str = ""


@dataclass
class Carrier:
    """Carries settings over one by one, and keeps what became of each."""

    recipe: Mapping[str, Any]
    fates: list[Fate] = field(default_factory=list)

    def carry(self, path: str, into: str, bounds: Mapping[str, Any]) -> Any:
        """The value as the service takes it, None where the recipe has none; one out of its range becomes the nearest.

        `bounds` has `least`, `most` and `whole` where they are known.
        """
        value = setting(self.recipe, path)
        if value is None:
            return None
        written = round(value) if bounds.get("whole") else value
        least, most = bounds.get("least", written), bounds.get("most", written)
        written = min(max(written, least), most)
        note = "" if written == value else f"the service takes {_range(bounds)}"
        self.fates.append(Fate(path, value, into, written, note))
        return written

    def choose(self, path: str, into: str, allowed: list[Any], default: Any) -> Any:
        """The value if it is among those allowed, else the default, which is told."""
        value = setting(self.recipe, path)
        written = value if value in allowed else default
        note = "" if written == value else "what is allowed is not published: the vendor's default stays"
        note = f"allowed are {', '.join(map(str, allowed))}" if note and allowed else note
        if value is not None:
            self.fates.append(Fate(path, value, into, written, note))
        return written

    def leave(self, told: Mapping[str, str]) -> None:
        """Note what becomes of settings that have no place."""
        done = {fate.setting for fate in self.fates}
        for path, note in told.items():
            value = setting(self.recipe, path)
            if (
                path not in done
                and value is not None
                and value is not False
                and package_and_class(str(_short(value))) not in _UNUSED
            ):
                self.fates.append(Fate(path, _short(value), note=note))


def lines(fates: list[Fate]) -> Iterator[str]:
    """A line for each: what is carried over, what is changed for the service, and what is left to it."""
    for fate in sorted(fates, key=lambda one: (not one.into, bool(one.note))):
        how = "left   " if not fate.into else "changed" if fate.written != fate.value else "carried"
        there = f"{fate.into} = {fate.written}" if fate.into else ""
        yield f"  {how}  {fate.setting} = {fate.value}: {'; '.join(filter(None, (there, fate.note)))}"


def _short(value: Any) -> Any:
    """A part by the name of its class."""
    return value.get("_target_", "…") if isinstance(value, Mapping) else value


def _range(bounds: Mapping[str, Any]) -> str:
    whole = "whole numbers " if bounds.get("whole") else ""
    least, most = bounds.get("least"), bounds.get("most")
    return f"{whole}from {least:g} to {most:g}" if least is not None and most is not None else f"{whole}".strip()
