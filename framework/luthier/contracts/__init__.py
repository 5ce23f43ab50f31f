"""The contract with guests: what each part of a run is given, and what it gives back.

A recipe answers nine questions; each answer is a part. Positional parameters of a part's constructor are other
parts, handed over by `assemble`; keyword-only parameters are settings, written in the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.inference.generation import Sampling

Example = dict[str, Any]
"""One record of a data set. Which of these keys it has depends on its format:

- `messages`: a conversation in OpenAI's form, `[{"role", "content", "weight"?, "tool_calls"?, "name"?}, …]`;
- `text`: plain text; `chosen` and `rejected`: two lists of messages that continue `messages`, in place of its last
  answer where it has one (`luthier.data.examples.prompt_of`);
- `label`: the class, where the task is classification (the last message then says it); `tools`: tool definitions;
- `relevant`: names of the documents that hold its answer; a prompt that looks them up adds `found`, the names of those
  that it found, the best one first, and `passages`, those that it shows: `document`, `heading` and `text`;
- `where`: file:line of the record, and `split`: train, validation or test, always there; `source`: in a mixture;
- any further column of the source, under its own name.
"""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Token ids (int32, [n]) and the weight (float32, [n]) of predicting each of them from those before it.

    Weight 0 is context only; the first token has nothing before it and always weighs 0.
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded example: sequences that stay together in one block, and numbers that the loss needs beside them.

    Most methods have one sequence; a preference pair has two, chosen first. The first `shared` tokens, of weight 0,
    are the same in all of them (`luthier.data.encoding.together` finds them) and are laid down and computed once; the
    length counts them once. An `open` row is a prompt that the method answers itself: nothing in it is predicted.
    """

    sequences: tuple[Sequence, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    shared: int = 0
    open: bool = False

    def __len__(self) -> int:
        return sum(len(sequence) for sequence in self.sequences) - self.shared * (len(self.sequences) - 1)


@dataclass(slots=True)
class Batch:
    """Blocks of tokens, B rows of T: sequences packed one after another, padding last.

    input_ids int64 [B, T]; positions int64 [B, T], restarting with each sequence; weights float32 [B, T], aligned
    with the token that is predicted; segments int32 [B, T], 0 for padding, else 1, 2, … for the sequences of a block.
    `boundaries` are the cumulative sequence lengths over the flattened batch (0 … B·T, padding a sequence of its
    own): plain integers, so that reading them never waits for a device. `examples` holds the index of each row of
    data, `values` what `Row.values` held, float32 [rows], in the same order.

    What the sequences of a row share is a sequence of its own, laid down before them: a trunk. `branches` says of
    each sequence that goes on from a trunk, by its number among the boundaries, which one that is; its positions go
    on there. `rows` are the numbers of each row's sequences, without trunks and padding. `beside` holds further numbers
    of each token, [B, T], where a method's preparation put some there.
    """

    input_ids: Tensor
    weights: Tensor
    positions: Tensor
    segments: Tensor
    boundaries: tuple[int, ...]
    examples: tuple[int, ...]
    values: dict[str, Tensor] = field(default_factory=dict)
    branches: Mapping[int, int] = field(default_factory=dict)
    rows: tuple[tuple[int, ...], ...] = ()
    beside: dict[str, Tensor] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[int, ...]:
        """The numbers of the sequences of all rows, in order."""
        return tuple(number for row in self.rows for number in row)

    @property
    def tokens(self) -> int:
        """Tokens that are not padding; waits for the device."""
        return int((self.segments > 0).sum())

    def to(self, device: torch.device | str) -> Batch:
        """A copy with every tensor on the device; Lightning calls it."""
        ahead = torch.device(device).type == "cuda"  # elsewhere the values may be read before they have arrived
        return self._with(lambda tensor: tensor.to(device, non_blocking=ahead))

    def pin_memory(self) -> Batch:
        """A copy whose tensors can travel to a device while the host goes on."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            input_ids=change(self.input_ids),
            weights=change(self.weights),
            positions=change(self.positions),
            segments=change(self.segments),
            values={name: change(value) for name, value in self.values.items()},
            beside={name: change(value) for name, value in self.beside.items()},
        )


@dataclass(slots=True)
class Loss:
    """The sum of a loss over a batch and the weight to divide it by, both scalars; `metrics` are pairs like it.

    The core divides by the weight of the whole optimizer step, over micro-batches and ranks, so that the update
    does not depend on how a batch was cut.
    """

    sum: Tensor
    weight: Tensor
    metrics: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Preparation(Protocol):
    """What a method makes of the batches of an optimizer step before it trains on them, such as answers to prompts."""

    @property
    def visits(self) -> int:
        """How many optimizer steps in a row are made from what it gives."""

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        """The micro-batches to train on in place of `step`, no more than those; called once for each step of the data.

        `number` counts the steps of the data from the beginning of the run. Everything that is drawn must follow from
        it and from the weights, so that a run that goes on repeats it.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of it, plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Model(Protocol):
    """Where a network comes from. Nothing is loaded before it is asked for."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...

    @property
    def config(self) -> PretrainedConfig:
        """The architecture, without its weights."""

    def network(self) -> nn.Module:
        """A fresh network on the CPU (or on meta inside a sharding strategy), in its own dtype."""

    def lineage(self) -> dict[str, Any]:
        """What it is made of, for the manifest: the kind, the name, the revision, hashes."""


@runtime_checkable
class Restored(Protocol):
    """A model that makes something of the data, such as new tokens, and takes it from the artifact of its run."""

    def restore(self, folder: Path) -> None:
        """Find in an artifact what was made; called before anything else is asked for."""


@runtime_checkable
class Choosing(Protocol):
    """A model that chooses what it is made of by how well that does. What it chose belongs into its lineage.

    An artifact of it is `Restored`: nothing is chosen there again.
    """

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        """Choose, before anything is loaded; `judge` gives the recipe's score of a network, the higher the better.

        The examples of a judgement are those of the validation split. The tokenizer does not depend on the choice.
        """


@runtime_checkable
class Outlined(Protocol):
    """A model whose network is not what its configuration alone describes, such as one that is made of several."""

    def outline(self) -> nn.Module:
        """Its network on the meta device, where nothing has values."""


class Adaptation(Protocol):
    """Which weights may move. Inherit it: what most adaptations leave as it is has a body here.

    `luthier.models.adaptation` has the ways of saving that most of them share.
    """

    needs_base: bool
    """Whether what `save` writes is of use only beside the weights that it was made for."""

    shaping_base: tuple[str, ...] = ()
    """The settings in which two runs must agree to take turns on one base, as they change it or how it computes."""

    def __call__(self, network: nn.Module) -> nn.Module:
        """The network with only the chosen weights trainable, new ones inserted where the method needs them.

        It may lie on meta, where nothing has values: only its shapes are asked for then.
        """

    def save(self, network: nn.Module, folder: Path) -> None:
        """Write what moved, and nothing else, as safetensors."""

    def load(self, model: Model, folder: Path) -> nn.Module:
        """An adapted network with what `save` wrote put back; `model` loads only where its weights are needed."""

    def merge(self, network: nn.Module) -> nn.Module:
        """A plain network with the same logits; RecipeError where mathematics does not allow it."""

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        """See batches of the training split before the network is adapted; they are made as they are asked for."""

    def rate(self, name: str) -> float:
        """The factor of the learning rate at which the trainable weight of this name moves."""
        return 1.0

    def penalty(self, network: nn.Module) -> Tensor | None:
        """What the adaptation adds to the mean loss while training, a scalar; None is nothing."""
        return None

    def callbacks(self) -> list[Any]:
        """Lightning callbacks of the training, such as one that acts after each optimizer step."""
        return []

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        """Put what another run of this adaptation saved beside what is there; RecipeError where only one fits."""
        raise RecipeError(
            f"{type(self).__name__} does not keep several adapters on one network.",
            hint="Load each artifact by itself.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        """Answer with the adapter of this name from now on, or with none of them; the run's own is `default`."""
        raise RecipeError(
            f"{type(self).__name__} is part of its network and cannot be switched.",
            hint="Load the artifact and its base by themselves.",
        )


class Source(Protocol):
    """From which examples? Iterating gives them in a fixed order, one at a time."""

    def __iter__(self) -> Iterator[Example]: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What happened to the records in the latest reading: read, skipped, quarantined, …"""

    @property
    def warnings(self) -> list[str]:
        """What somebody should see of the latest reading, a sentence each."""

    def fingerprint(self) -> dict[str, Any]:
        """What was read, for the manifest: names, sha256, rows."""

    def quarantine_into(self, folder: Path) -> None:
        """Let records that cannot be used be kept in `folder`, where the recipe wants them kept and names no place."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The score of a model on some examples, and of each its answer and its own score; more is better.

    An answer is empty where only a loss is measured. None stands for an example that holds no answer to compare with.
    """

    score: float
    each: Many[tuple[str, float] | None]


class PromptJudge(Protocol):
    """Says how well the model answers with a prompt, on examples that are held out for choosing."""

    examples: Many[Example]
    """In the order in which they are asked."""
    most: int
    """How many examples there are."""

    def __call__(self, prompt: Prompt, count: int) -> float:
        """The score of the first `count` of them, the same ones each time; more is better."""

    def judged(self, prompt: Prompt, examples: Many[Example]) -> Judgement:
        """What the model makes of any examples with a prompt."""

    def write(self, conversations: Many[Many[dict[str, Any]]], sampling: Sampling) -> list[str]:
        """What the model says next in conversations as they stand, without any prompt."""


class Prompt(Protocol):
    """How does an example become text? Inherit it: what most prompts leave as it is has a body here."""

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """See the training split, and nothing but it, before anything is encoded."""

    def __call__(self, example: Example) -> Example:
        """The example with the `messages` that the model shall see; the given one stays as it is.

        Threads may share it. A conversation that goes on with a new question is an example without an answer.
        """

    def save(self, folder: Path) -> None:
        """Write what it learned into an artifact, so that `load` can show the same without the training split."""

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Take up what `save` wrote."""

    def choose(self, judge: PromptJudge) -> None:
        """Look for the words with which the model answers best; the stage `search` calls it, after `learn`."""
        raise RecipeError(
            f"{type(self).__name__} has no words to choose among.",
            where="prompt",
            hint="Use prompt=searched, or leave `search` out of the stages.",
        )

    def opening(self) -> list[dict[str, Any]] | None:
        """The messages that it puts before every conversation and all that it does; None where it does more."""
        return None

    @property
    def warnings(self) -> list[str]:
        """What somebody should see in the report, a sentence each."""
        return []


@dataclass(frozen=True, slots=True)
class Score:
    """A measured number with its 95 % bootstrap interval and the number of examples behind it."""

    value: float
    low: float
    high: float
    count: int
    better: str = "higher"


FEWEST_PAIRS = 6
"""With fewer pairs even a unanimous change happens by chance more than once in twenty: 2 / 2^5 > 0.05 (sign test)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How per-example statistics [examples, s] become a value: `reduce` takes their totals [..., s] to values [...]."""

    reduce: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    better: str = "higher"


Optimizer = Callable[[Iterable[tuple[str, nn.Parameter]], int, Callable[[str], float]], Any]
"""`optimizer(named_parameters, total_steps, rate)` gives what Lightning's `configure_optimizers` returns.

`rate(name)` is the factor of the learning rate at which a weight moves.
"""

Device = torch.device
