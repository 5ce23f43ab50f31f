"""Lightning's checkpoints as safetensors and JSON, in folders that a manifest seals; pickle never comes in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from luthier.disk.refusals import refused_by_the_disk
from luthier.errors import RecipeError, ResourceError
from luthier.training import checkpoint_files
from luthier.training.plain_state import rebuild
from luthier.training.savable import dismantled

TENSORS, STATE = "state.safetensors", "state.json"
OF_RUN = "luthier_run"
"""The key of a checkpoint under which it says of which recipe it is."""


class SealedCheckpoints(CheckpointIO):
    """Hands Lightning's checkpoint dictionary to `checkpoint_files`; a path is `<checkpoints>/step-<number>`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint durably. ResourceError where the disk refuses, PluginError for unwritable state."""
        place = Path(path)
        step = checkpoint_files.step_of(place)
        if step is None:
            raise RecipeError(f"A checkpoint's folder is named step-<number>, not {place.name!r}.", where=str(place))
        state, tensors = dismantled(checkpoint)
        text = json.dumps(state, allow_nan=False)
        owned = {name: tensor.to("cpu").contiguous() for name, tensor in _without_overlaps(tensors).items()}
        size = len(text) + sum(tensor.nbytes for tensor in owned.values())

        def fill(folder: Path) -> None:
            with _system_errors(folder):
                save_file(owned, folder / TENSORS)
            (folder / STATE).write_text(text, encoding="utf-8")

        checkpoint_files.write(place.parent, step, fill, size=size)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The checkpoint as it was saved, on the CPU; nothing in it can run code, whatever `weights_only` says."""
        place = Path(path)
        with _refused(place):
            checkpoint_files.verify(place)
            tensors = load_file(place / TENSORS)
            result: dict[str, Any] = rebuild(json.loads((place / STATE).read_text(encoding="utf-8")), tensors)
        return result

    def remove_checkpoint(self, path: Any) -> None:
        shutil.rmtree(path)


NOT_OF_THE_MODEL = ("optimizer_states", "lr_schedulers", "loops")


def load_model_state(path: Path) -> dict[str, Any]:
    """A checkpoint without what only a training needs that goes on; its tensors, of several times the size, stay there.

    Raises ResourceError where it is not intact.
    """
    with _refused(path):
        checkpoint_files.verify(path)
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        with safe_open(path / TENSORS, framework="pt") as tensors:
            wanted = {name: value for name, value in state.items() if name not in NOT_OF_THE_MODEL}
            result: dict[str, Any] = rebuild(wanted, _Read(tensors))
    return result


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint says of its run before anything of it is loaded."""

    step: int
    place: dict[str, Any]
    """The state of the loader: the place in the data."""
    run: dict[str, Any]
    """What `OfRun` wrote; empty in checkpoints of version 0.1."""


def describe(path: Path) -> Description:
    """Read what a checkpoint says of itself; ResourceError where that cannot be read."""
    with _refused(path):
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        place = state["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]
        return Description(checkpoint_files.step_of(path) or 0, place, state.get(OF_RUN, {}))


class _Read(dict[str, torch.Tensor]):
    """Tensors by name, each read once, when it is asked for."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.file = file

    def __missing__(self, name: str) -> torch.Tensor:
        self[name] = self.file.get_tensor(name)
        return self[name]


@contextmanager
def _refused(place: Path) -> Iterator[None]:
    """ResourceError for a checkpoint that is not what was written."""
    try:
        yield
    except (checkpoint_files.Invalid, SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise ResourceError(
            f"The checkpoint is not intact: {error}.",
            where=str(place),
            hint="resume=auto takes the newest that is.",
        ) from error


def _without_overlaps(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, copied where two of them look at one memory in different ways: safetensors refuses those."""
    seen: set[tuple[torch.device, int]] = set()
    result = {}
    for name, tensor in tensors.items():
        memory = (tensor.device, tensor.untyped_storage().data_ptr())
        result[name] = tensor.clone() if memory in seen and tensor.numel() else tensor
        seen.add(memory)
    return result


@contextmanager
def _system_errors(folder: Path) -> Iterator[None]:
    """Turn safetensors' own error, which carries the system's number in its text, back into an OSError."""
    try:
        yield
    except SafetensorError as error:
        if (refused := refused_by_the_disk(error)) is None:
            raise
        raise OSError(refused.errno, refused.strerror, str(folder / TENSORS)) from error
