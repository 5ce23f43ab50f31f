"""The data of a run: examples from a source, prompted, encoded, packed and dealt out to devices."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl

from luthier.contracts.batch import Batch
from luthier.contracts.examples import Example, Source
from luthier.contracts.prompt import Prompt
from luthier.contracts.training import Preparation
from luthier.data import content_hashes as identity
from luthier.data import ledger
from luthier.data.blocks import Blocks
from luthier.data.building import Recipe, build, looked_at
from luthier.data.loader import Batches, Loader, Pass
from luthier.data.order import Order
from luthier.data.prepared import Prepared
from luthier.data.reading import SPLITS, Changed, Reading
from luthier.data.rows import Encode
from luthier.errors import DataError, RecipeError
from luthier.fetch import cache
from luthier.fetch.once import build_once

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("luthier")


class Data(pl.LightningDataModule):
    """Reads the source once, lets the prompt learn from the training split, and makes batches of what is encoded.

    size: blocks (packed) or examples of one optimizer step, over all devices; micro: of one forward on one device.
    length: tokens of a block, and the most that an example may have; packing: whether examples share blocks, or each
    has its own, padded to the longest of its batch. overlong: what happens to a longer example; split cuts it
    into pieces and loses nothing. workers: processes that make batches ahead. allow: errors that the token ledger
    finds in every example and that this recipe means (no_trainable_token, untrained_end_of_turn, pad_is_end_of_turn,
    endless_answer, double_bos, truncated_answer).

    `source` gives the examples, `prompt` changes them, and `recipe` says how they are encoded and cut into rows. `seed`
    is that of the order of blocks; `preparation` changes the batches of a step before they are trained on, None
    leaves them as they are. Encoded blocks are kept in the cache under the hash of all that they are made from.
    """

    def __init__(
        self,
        source: Source,
        prompt: Prompt,
        encode: Encode,
        tokenizer: PreTrainedTokenizerBase,
        seed: int = 0,
        folder: Path | None = None,
        preparation: Preparation | None = None,
        *,
        size: int = 8,
        micro: int = 2,
        length: int = 1024,
        packing: bool = True,
        overlong: Literal["error", "truncate", "drop", "split"] = "error",
        workers: int = 0,
        allow: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.source, self.prompt, self.seed = source, prompt, seed
        self.recipe = Recipe(encode, tokenizer, length, packing, overlong)
        self.size, self.micro, self.length, self.workers = size, micro, length, workers
        self.allow = frozenset(allow or ())
        self.preparation = preparation
        self._blocks: dict[str, Blocks | None] = {}
        if folder is not None:
            source.quarantine_into(folder)
        if length < 2:
            raise RecipeError(f"batch.length is {length}.", where="batch.length", hint="Use 2 or more.")
        if length > tokenizer.model_max_length:
            raise RecipeError(
                f"batch.length={length} is more than the model's {tokenizer.model_max_length} positions.",
                where="batch.length",
                hint=f"Set batch.length={tokenizer.model_max_length} or less.",
            )

    def examples(self, split: str) -> Sequence[Example]:
        """The examples of a split as the source gives them, before the prompt; none where there is no such split."""
        return self.reading.examples.get(split, [])

    @cached_property
    def reading(self) -> Reading:
        """What the source gave; DataError where nothing of it is to train on."""
        found = Reading.of(self.source)
        if not found.examples.get("train"):
            there = {name: len(each) for name, each in found.examples.items()}
            raise DataError(f"No example is left to train on; there are {there}.", hint="Hold out less of the data.")
        self.prompt.learn(found.examples["train"], self.recipe.tokenizer)
        return found

    def setup(self, stage: str | None = None) -> None:
        """Encode what a fit needs, unless it is in the cache; Lightning calls it on every rank."""
        if stage in (None, "fit"):
            self.blocks("train")
            self.blocks("validation")

    def blocks(self, split: str) -> Blocks | None:
        """The encoded blocks of a split, None where it has no examples."""
        if split not in self._blocks:
            self._blocks[split] = self._made(split) if self.examples(split) else None
        return self._blocks[split]

    def _made(self, split: str) -> Blocks:
        examples = Changed(self.examples(split), self.prompt)
        recipe = self.recipe
        name = identity.content_hash(
            [
                identity.hash_of_examples(examples),
                self._tokenizer_identity,
                identity.hash_of_template(recipe.tokenizer),
                identity.hash_of_function(recipe.encode),
                [recipe.length, recipe.packing, recipe.overlong],
            ]
        )
        folder = cache.cache_folder("blocks") / name[:32]
        if folder.is_dir() and not Blocks.intact(folder):
            log.warning("The encoded data in %s is damaged and is made again.", folder)
            shutil.rmtree(folder)
        made = Blocks(build_once(folder, lambda place: build(place, examples, recipe, split=split)))
        self._check(made)
        return made

    def _check(self, blocks: Blocks) -> None:
        """DataError where every example that was looked at has the same error."""
        looked = blocks.facts["findings"]
        for finding in looked[0]["found"] if looked else ():
            same = all(any(other["name"] == finding["name"] for other in each["found"]) for each in looked)
            if finding["severity"] == "error" and same and finding["name"] not in self.allow:
                template = getattr(self.recipe.tokenizer, "name_or_path", "")
                raise DataError(
                    f"With the chat template of {template}, each of {len(looked)} examples looked at has this error: "
                    f"{finding['message']}",
                    where=looked[0]["where"],
                    hint=f"{finding['hint']} See it with `luthier preview`; batch.allow=[{finding['name']}] means it.",
                )

    def accumulation(self, world: int) -> int:
        """Micro-batches of one optimizer step on each of `world` devices."""
        return Order(0, self.size, self.micro, world).accumulation

    def steps(self, epochs: int, world: int) -> int:
        """Optimizer steps of `epochs` epochs, the same for any number of devices."""
        return epochs * self._order(world).steps * (self.preparation.visits if self.preparation else 1)

    def first_batches(self) -> Iterator[Batch]:
        """The micro-batches of the first epoch as one device would read them, made as they are asked for."""
        blocks = self.blocks("train")
        assert blocks is not None, "a run without training examples ends when they are read"
        yield from self._batches(blocks, self._order(1), 0).of(0)

    def train_dataloader(self) -> Loader | Prepared:
        """The training split's micro-batches for this device, as the method's preparation leaves them."""
        blocks = self.blocks("train")
        assert blocks is not None, "a run without training examples ends when they are read"
        world, rank = self._place()
        batches = self._batches(blocks, self._order(world), rank)
        return Prepared(batches, self.preparation) if self.preparation else Loader(batches)

    def val_dataloader(self) -> list[Pass]:
        """One loader over the validation split, or none."""
        blocks = self.blocks("validation")
        if blocks is None:
            return []
        world, rank = self._place()
        order = Order(len(blocks), self.micro * world, self.micro, world, shuffle=False)
        return [Pass(self._batches(blocks, order, rank))]

    def _order(self, world: int) -> Order:
        return Order(len(self.blocks("train") or ()), self.size, self.micro, world, self.seed)

    def _batches(self, blocks: Blocks, order: Order, rank: int) -> Batches:
        tokenizer, length = self.recipe.tokenizer, self.length if self.recipe.packing else None
        pad = next((each for each in (tokenizer.pad_token_id, tokenizer.eos_token_id) if each is not None), 0)
        return Batches(blocks, order, rank, length, int(pad), self.workers)

    def _place(self) -> tuple[int, int]:
        """How many different streams of data the devices read, and which of them is ours."""
        known = (self.trainer.distributed_sampler_kwargs if self.trainer else None) or {}
        return int(known.get("num_replicas", 1)), int(known.get("rank", 0))

    @cached_property
    def _tokenizer_identity(self) -> str:
        return identity.hash_of_tokenizer(self.recipe.tokenizer)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all examples, in order, whatever file they stand in."""
        nothing = identity.hash_of_examples([])
        return identity.content_hash({split: self.reading.digests.get(split, nothing) for split in SPLITS})

    def report(self) -> dict[str, int]:
        """Counts of the reading and of the encoding, by name; those of validation say so."""
        found = dict(self.reading.counts)
        for split, blocks in self._blocks.items():
            before = "" if split == "train" else f"{split} "
            found |= {f"{before}{name}": count for name, count in (blocks.facts["counts"] if blocks else {}).items()}
        return found

    def fingerprint(self) -> dict[str, Any]:
        """What the data was, for the manifest: hashes of the examples and of what made tokens of them, and counts."""
        tokenizer = self.recipe.tokenizer
        return {
            "sha256": self.digest,
            "source": self.reading.fingerprint,
            "splits": {split: len(self.examples(split)) for split in SPLITS},
            "tokenizer": self._tokenizer_identity,
            "chat_template": identity.hash_of_template(tokenizer),
            "encode": identity.hash_of_function(self.recipe.encode),
            "blocks": {split: each.folder.name for split, each in self._blocks.items() if each},
            "counts": self.report(),
        }

    def inspected(self, number: int = 0, split: str = "train") -> ledger.Ledger:
        """The token ledger of an example as it will be trained on."""
        example = self.prompt(self.examples(split)[number])
        return looked_at(example, self.recipe.encode(example, self.recipe.tokenizer), self.recipe)

    @property
    def warnings(self) -> list[str]:
        """What somebody should see: of source and prompt, and of rows that were cut, left out or found wanting."""
        found = [*self.reading.warnings, *self.prompt.warnings]
        for split, blocks in self._blocks.items():
            if blocks is None:
                continue
            counts, places = blocks.facts["counts"], blocks.facts["places"]
            for what, sentence in _SENTENCES.items():
                if counts.get(what):
                    named = f" ({', '.join(places[what][:3])})" if places.get(what) else ""
                    found.append(f"{counts[what]} {split} examples {sentence}{named}.")
        return found


_SENTENCES = {
    "truncated": "are longer than a block and were cut",
    "truncated_answers": "lost the end of an answer",
    "dropped": "are longer than a block and were dropped",
    "untrainable": "have nothing to train on and were left out",
    "special_text": "hold the text of special tokens, which was encoded as plain text",
    "moved_boundaries": "have an answer that begins in the middle of a token, where the text was cut",
}
