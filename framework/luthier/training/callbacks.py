"""The callbacks that every training has, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytorch_lightning as pl

from luthier.contracts.training import StatefulPart
from luthier.records.events import EventLog
from luthier.records.folder import RunFolder
from luthier.training.checkpoints import Checkpoints
from luthier.training.dead_gradients import DeadGradients
from luthier.training.expert_loads import ExpertLoads
from luthier.training.finite import Finite
from luthier.training.frozen import WithoutFrozen
from luthier.training.heartbeat import Heartbeat, Listener
from luthier.training.limits import Limits
from luthier.training.memory import OutOfMemory
from luthier.training.metrics_log import MetricsLog
from luthier.training.optimizer_state import OptimizerState
from luthier.training.part_states import PartStates
from luthier.training.progress import Progress
from luthier.training.random_state import RandomState
from luthier.training.signals import Signals
from luthier.training.spikes import Policy, Spikes
from luthier.training.validation import Validating, Validation
from luthier.training.watchdog import Policy as WhenHung
from luthier.training.watchdog import Watchdog


def reliable(
    folder: RunFolder,
    signals: Signals,
    validating: Validating,
    listeners: Sequence[Listener] = (),
    stateful: Mapping[str, StatefulPart] | None = None,
    *,
    every: int = 100,
    keep: int = 2,
    micro: int = 1,
    length: int = 1024,
    checkpointing: bool = False,
    hang_after: float | None = None,
    when_hung: WhenHung = "end",
    spikes: Policy = "flag",
    seconds: float | None = None,
    disk: float | None = None,
) -> list[pl.Callback]:
    """Measure, show, guard, validate and save a training in `folder`; `listeners` hear of each step, after
    metrics.jsonl and the progress on stderr. `stateful` are the parts with a state, by their paths in the recipe.

    `spikes` is the policy of `Spikes`, `every` and `keep` are those of `Checkpoints`, `seconds` and `disk` of `Limits`;
    `micro`, `length` and `checkpointing` (of gradients) are what the advice on memory starts from; `hang_after` is the
    patience of `Watchdog`, `when_hung` its policy. The trainer needs `SealedCheckpoints` among its plugins, or
    checkpoints are pickles.
    """
    metrics, events = MetricsLog(folder.metrics), EventLog(folder.events)
    random_state, progress = RandomState(), Progress()
    heartbeat = Heartbeat(signals, [metrics.write, progress.tell, *listeners])
    part_states = PartStates(stateful or {}, heartbeat)
    finite = Finite(events, folder.checkpoints, random_state, part_states, drops=validating.stop.ends_divergence)
    validation = Validation(validating, folder.validations, events, heartbeat, finite, random_state, part_states)
    checkpoints = Checkpoints(
        folder.checkpoints, heartbeat, random_state, metrics, events, validation, every=every, keep=keep
    )
    return [
        Watchdog(folder.path / "stacks.txt", events, heartbeat, hang_after, when_hung),
        heartbeat,
        finite,
        Spikes(events, progress.say, folder.checkpoints, spikes),
        DeadGradients(events, progress.say),
        random_state,
        part_states,
        WithoutFrozen(),
        OptimizerState(),
        ExpertLoads(),
        validation,
        checkpoints,
        Limits(folder.path, checkpoints, seconds=seconds, disk=disk),
        progress,
        OutOfMemory(micro=micro, length=length, checkpointing=checkpointing),
    ]
