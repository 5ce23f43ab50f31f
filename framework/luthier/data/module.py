"""The data of a run: the examples of a source with the prompt, encoded, packed and distributed over devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl

from luthier.contracts.batch import Batch
from luthier.contracts.examples import Example, Source
from luthier.contracts.prompt import Prompt
from luthier.contracts.training import Preparation
from luthier.data import ledger
from luthier.data.batch_digest import BatchDigest
from luthier.data.blocks import Blocks
from luthier.data.building import EncodingSettings, build, inspect_as_trained, template_name
from luthier.data.content_hashes import (
    content_hash,
    hash_of_examples,
    hash_of_function,
    hash_of_template,
    hash_of_tokenizer,
)
from luthier.data.encoding_notes import encoding_notes
from luthier.data.lazy_examples import MappedExamples
from luthier.data.ledger.entries import ErrorName
from luthier.data.loader import Batches, HeldOutLoader, TrainingLoader
from luthier.data.order import Order
from luthier.data.overlong import refuse_length
from luthier.data.prepared import PreparedLoader
from luthier.data.reading import SPLITS, Reading
from luthier.data.rows import Encode
from luthier.data.saved_place import ResumedSteps, SavedPlace, check_data_identity
from luthier.data.shown_examples import shown
from luthier.data.turn_examples import encoded_turns
from luthier.errors import DataError
from luthier.errors.pasting import setting_to_paste
from luthier.fetch import cache
from luthier.fetch.once import build_once

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


class Data(pl.LightningDataModule):
    """Reads the source once, fits the prompt to the training split, encodes and packs the examples, and makes batches.

    size: blocks (with packing) or examples per optimizer step, over all devices; micro: per forward pass on one device.
    length: tokens of a block, the maximum length of an example; packing: several examples share a block, or each has
    its own, padded to the longest of its batch. overlong: what happens to a longer example; split cuts it into pieces
    and trains every token. workers: processes that prefetch batches. allow: names of errors that the token ledger may
    find in every example without ending the run (no_trainable_token, untrained_end_of_turn, pad_is_end_of_turn,
    endless_answer, double_bos, truncated_answer).

    `source` yields the examples and `prompt` changes them. `seed` is that of the order of blocks; `preparation` changes
    the batches of a step before they are trained on, None leaves them unchanged. `learn` is
    shown the examples of each split before any is encoded. `encoding` is the hash of all that
    `encode` depends on (`hash_of_encoding`); without one, it is taken from the function and the object it belongs to.

    `settings` is how examples are encoded and packed, `seen` the digest of the batches that are trained on. Encoded
    blocks are cached under the hash of everything from which they are made. RecipeError where `length` is less than 2
    or more than the model's number of positions, unless `reads_texts_apart`: then a block holds several texts.
    """

    def __init__(
        self,
        source: Source,
        prompt: Prompt,
        encode: Encode,
        tokenizer: PreTrainedTokenizerBase,
        seed: int = 0,
        folder: Path | None = None,
        encoding: str | None = None,
        reads_texts_apart: bool = False,
        preparation: Preparation | None = None,
        learn: Callable[[Mapping[str, Sequence[Example]]], Any] | None = None,
        *,
        size: int = 8,
        micro: int = 2,
        length: int = 1024,
        packing: bool = True,
        overlong: Literal["error", "truncate", "drop", "split"] = "error",
        workers: int = 0,
        allow: list[ErrorName] | None = None,
    ) -> None:
        super().__init__()
        self.source, self.prompt, self.seed = source, prompt, seed
        self.settings = EncodingSettings(encode, tokenizer, length, packing, overlong)
        self.size, self.micro, self.length, self.workers = size, micro, length, workers
        self.allow = frozenset(allow or ())
        self.preparation, self.learn = preparation, learn
        self.learned: Any = None
        """What the method learned of the examples, once they are read."""
        self.seen = BatchDigest()
        self._encoding = hash_of_function(encode) if encoding is None else encoding
        self._blocks: dict[str, Blocks | None] = {}
        if folder is not None:
            source.quarantine_into(folder)
        refuse_length(length, tokenizer, apart=reads_texts_apart)

    def examples(self, split: str) -> Sequence[Example]:
        """The examples of a split before the prompt is applied; empty where there is no such split."""
        return self.reading.examples.get(split, [])

    @cached_property
    def reading(self) -> Reading:
        """The reading of the source; the prompt is fitted to its training split."""
        reading = Reading.of(self.source)
        self.prompt.learn(reading.examples.get("train", []), self.settings.tokenizer)
        self.learned = self.learn(reading.examples) if self.learn else None
        return reading

    def refuse_without_training(self) -> None:
        """DataError where there is no example to train on; to be measured, data needs none."""
        if self.examples("train"):
            return
        sizes = [f"{len(self.examples(split)):,} in {split}" for split in SPLITS if self.examples(split)]
        raise DataError(
            f"No example is left to train on: there are {' and '.join(sizes) or 'none at all'}.",
            where="data",
            hint="Hold out less of the data (data.splits.test=0.1), or only measure: 'stages=[evaluate]'.",
        )

    def setup(self, stage: str | None = None) -> None:
        """Encode the training and validation splits, unless they are cached; Lightning calls it on every rank."""
        if stage in (None, "fit"):
            self.refuse_without_training()
            self.blocks("train")
            self.blocks("validation")

    def blocks(self, split: str) -> Blocks | None:
        """The encoded blocks of a split; None where it has no examples."""
        if split not in self._blocks:
            self._blocks[split] = self._encoded(split) if self.examples(split) else None
        return self._blocks[split]

    def _encoded(self, split: str) -> Blocks:
        examples = MappedExamples(self.examples(split), self._shown)
        settings = self.settings
        name = content_hash(
            [
                hash_of_examples(examples),
                self._tokenizer_identity,
                hash_of_template(settings.tokenizer),
                self._encoding,
                [settings.length, settings.packing, settings.overlong],
                *([] if self.learned is None else [self.learned]),
            ]
        )
        folder = cache.cache_folder("blocks") / name[:32]
        blocks = Blocks(build_once(folder, lambda place: build(place, examples, settings, split=split)))
        self._check(blocks)
        return blocks

    def _check(self, blocks: Blocks) -> None:
        """DataError where all inspected examples have the same error and `allow` does not name it."""
        inspected = blocks.facts["findings"]
        for finding in inspected[0]["found"] if inspected else ():
            in_all = all(any(other["name"] == finding["name"] for other in one["found"]) for one in inspected)
            if finding["severity"] == "error" and in_all and finding["name"] not in self.allow:
                allowed = setting_to_paste("batch.allow", [finding["name"]])
                every = f"each of {len(inspected)} inspected examples has an error: {finding['message']}"
                by_template = finding["name"] != "truncated_answer"
                raise DataError(
                    f"With {template_name(self.settings)}, {every}" if by_template else f"E{every[1:]}",
                    where=inspected[0]["where"],
                    hint=f"{finding['hint']} See it with `luthier preview`; {allowed} allows it.",
                )

    def accumulation(self, world: int) -> int:
        """Micro-batches of one optimizer step on each of `world` devices."""
        return Order(0, self.size, self.micro, world).accumulation

    def steps(self, epochs: int, world: int) -> int:
        """Optimizer steps of `epochs` epochs; independent of the number of devices."""
        return epochs * self._order(world).steps * (self.preparation.visits if self.preparation else 1)

    def resumed_steps(self, saved: Mapping[str, Any], epochs: int) -> ResumedSteps:
        """The optimizer steps before and after a saved position; RecipeError where it is none of this data."""
        visits = self.preparation.visits if self.preparation else 1
        blocks, order = self.blocks("train"), self._order(1)
        assert blocks is not None, "a run without training examples ends when they are read"
        check_data_identity(saved, blocks.digest, order)
        place = SavedPlace.of(saved)
        done = place.steps(order, visits)
        return ResumedSteps(place.epoch * order.steps * visits + done, place.steps_left(order, visits, epochs))

    def micro_batches_done(self, saved: Mapping[str, Any], epoch: int) -> tuple[int, int]:
        """How many micro-batches of an epoch lie before a saved position on this device, and how many it has."""
        loader, place = self.train_dataloader(), SavedPlace.of(saved)
        if place.epoch > epoch:
            return len(loader), len(loader)
        loader.load_state_dict(dict(saved))
        return loader.done, len(loader)

    def first_batches(self) -> Iterator[Batch]:
        """The micro-batches of the first epoch on a single device, without preparation; a lazy iterator."""
        yield from self._batches(self._training_blocks(), self._order(1), 0).of(0)

    def train_dataloader(self) -> TrainingLoader | PreparedLoader:
        """The training split's micro-batches for this device, as the method's preparation leaves them."""
        blocks, (world, rank) = self._training_blocks(), self._data_parallel()
        batches = self._batches(blocks, self._order(world), rank)
        return PreparedLoader(batches, self.preparation) if self.preparation else TrainingLoader(batches)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Count a training batch into the digest of its step while it is on the host; Lightning calls it.

        Not `on_before_batch_transfer`: of that hook Lightning calls the method's or this one, and methods have theirs.
        """
        if self.trainer is not None and self.trainer.training:
            self.seen.add(batch)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _training_blocks(self) -> Blocks:
        self.refuse_without_training()
        blocks = self.blocks("train")
        assert blocks is not None
        return blocks

    def val_dataloader(self) -> list[HeldOutLoader]:
        """The loader of the validation split; an empty list where there is none."""
        blocks = self.blocks("validation")
        if blocks is None:
            return []
        world, rank = self._data_parallel()
        order = Order(len(blocks), self.micro * world, self.micro, world, shuffle=False)
        return [HeldOutLoader(self._batches(blocks, order, rank))]

    def _order(self, world: int) -> Order:
        return Order(len(self.blocks("train") or ()), self.size, self.micro, world, self.seed)

    def _batches(self, blocks: Blocks, order: Order, rank: int) -> Batches:
        tokenizer, length = self.settings.tokenizer, self.length if self.settings.packing else None
        pad = next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)
        return Batches(blocks, order, rank, length, int(pad), self.workers)

    def _data_parallel(self) -> tuple[int, int]:
        """The data-parallel world size and the rank of this process in it."""
        known = (self.trainer.distributed_sampler_kwargs if self.trainer else None) or {}
        return int(known.get("num_replicas", 1)), int(known.get("rank", 0))

    @cached_property
    def _tokenizer_identity(self) -> str:
        return hash_of_tokenizer(self.settings.tokenizer)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all examples in order, independent of the files that they come from."""
        nothing = hash_of_examples([])
        return content_hash({split: self.reading.digests.get(split, nothing) for split in SPLITS})

    def report(self) -> dict[str, int]:
        """Counts of the reading and of the encoding by name; those of the validation split have its name in front."""
        counts = dict(self.reading.counts)
        for split, blocks in self._blocks.items():
            prefix = "" if split == "train" else f"{split} "
            counts |= {f"{prefix}{name}": count for name, count in (blocks.facts["counts"] if blocks else {}).items()}
        return counts

    def fingerprint(self) -> dict[str, Any]:
        """The data for the manifest: hashes of examples, tokenizer, template and encode function, and counts."""
        tokenizer = self.settings.tokenizer
        return {
            "sha256": self.digest,
            "source": self.reading.fingerprint,
            "splits": {split: len(self.examples(split)) for split in SPLITS},
            "tokenizer": self._tokenizer_identity,
            "chat_template": hash_of_template(tokenizer),
            "encode": self._encoding,
            "blocks": {split: blocks.folder.name for split, blocks in self._blocks.items() if blocks},
            "counts": self.report(),
        }

    def _shown(self, example: Example) -> Example:
        return shown(self.prompt, example)

    def token_ledger(self, number: int = 0, split: str | None = None) -> ledger.Ledger:
        """The token ledger of an example after `overlong` is applied; of its first turn, where each is an example.

        It is of the training split, or of the first that has examples.
        """
        there = next((name for name in SPLITS if self.examples(name)), "train")
        return self.token_ledgers(number, split or there)[0]

    def token_ledgers(self, number: int = 0, split: str = "train") -> list[ledger.Ledger]:
        """The token ledger of each row that an example becomes, after `overlong` is applied."""
        example = self._shown(self.examples(split)[number])
        turns = encoded_turns(example, self.settings.encode, self.settings.tokenizer)
        return [inspect_as_trained(turn.example, turn.row, self.settings) for turn in turns]

    @property
    def warnings(self) -> list[str]:
        """Warnings for the report: of the source, of the prompt, and about rows that were truncated or left out."""
        warnings = [*self.reading.warnings, *self.prompt.warnings]
        for split, blocks in self._blocks.items():
            if blocks is None:
                continue
            counts, places = blocks.facts["counts"], blocks.facts["places"]
            warnings += encoding_notes(counts, places, split)
        return warnings
