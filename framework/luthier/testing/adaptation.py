"""What every adaptation keeps to; inherit it, and say the answer and what it cannot do.

class TestMine(AdaptationContract):
    answer = "adaptation=mine"
    words = ("adaptation.rank=4",)
    cannot = frozenset({"merge"})
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import pytest
import pytorch_lightning as pl
import torch
from safetensors import safe_open
from torch import Tensor, nn

from luthier.contracts.batch import Row, TokenSequence
from luthier.contracts.sampling import Sampling
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.inference import log_probabilities as scoring
from luthier.models.trainable_parameters import count_parameters
from luthier.testing.part import PartContract
from luthier.testing.ranks import two_ranks
from luthier.testing.twin import composer, twin
from luthier.workflows.artifact import Artifact, load
from luthier.workflows.run import Run

LENGTHY = ("stages=[fit]", "trainer.max_steps=4", "trainer.checkpoint_every=2", "trainer.keep=0")
RATE = ("optimizer.lr=0.01", "optimizer.eps=0.001")  # moves all; does not blow up what differs by rounding
TRAINING = (*LENGTHY, *RATE)


@dataclass(frozen=True)
class Trained:
    """A run that has ended, with all weights of its adapted network as they were before the first step."""

    run: Run
    """The run, carried out."""
    before: dict[str, Tensor]
    """All weights by name, before the first step."""
    moving: frozenset[str]
    """The names of the trainable weights."""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.run.folder.path

    @property
    def network(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        return self.run.method.network.eval()

    @property
    def after(self) -> dict[str, Tensor]:
        """All weights by name, as they are now."""
        return dict(self.network.named_parameters())

    def losses(self) -> list[float]:
        """The loss of each optimizer step, from metrics.jsonl."""
        return [json.loads(line)["loss"] for line in self.run.folder.metrics.read_text().splitlines()]


def train(folder: Path, *words: str, plugins: tuple[str, ...] = ()) -> Trained:
    """Carry out the tiny twin, and look at it between adapting and training."""
    run = twin(folder, *words, plugins=plugins)
    adapt(run)
    named = dict(run.method.network.named_parameters())
    before = {name: weight.detach().clone() for name, weight in named.items()}
    moving = frozenset(name for name, weight in named.items() if weight.requires_grad)
    run.carry_out()
    return Trained(run, before, moving)


def adapt(run: Run) -> nn.Module:
    """The network that the run will train, as it will be before the first step."""
    pl.seed_everything(int(run.composition.config.seed), verbose=False)
    run.adaptation.learn(run.data.first_batches(), run.model.tokenizer)
    run.method.configure_model()
    return run.method.network


def logits(network: nn.Module) -> Tensor:
    """Of a few tokens, float32 [1, T, V], without those of virtual tokens before them."""
    ids = torch.arange(5, 29).unsqueeze(0)
    with torch.no_grad():
        return cast(Tensor, network.eval()(input_ids=ids).logits[:, -ids.shape[1] :].float())


class AdaptationContract(PartContract):
    """Trains tiny models with the adaptation and `words`, in which the answer may stand, too.

    `cannot` names what the suite shall see refused. Of what a recipe may ask for: packing, gradient_checkpointing,
    bf16, ddp (refused when the recipe is composed). Of what may be done with the result: merge, switch (a RecipeError),
    plain_peft (no adapter that PEFT loads), generate, identity (it changes what the network says before any training).
    `together` are further words on several ranks. Each of `methods` that is installed trains it.
    """

    question: ClassVar[str] = "adaptation"
    cannot: ClassVar[frozenset[str]] = frozenset()
    together: ClassVar[tuple[str, ...]] = ()
    methods: ClassVar[tuple[str, ...]] = ("sft", "cpt")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise `method` with those of `methods` that are installed."""
        if "method" in metafunc.fixturenames:
            installed = composer(*self.plugins).catalog.names("method")
            metafunc.parametrize("method", [name for name in self.methods if name in installed])

    def base(self, run: Run) -> nn.Module:
        """The network that the adaptation stands beside."""
        return run.model.network()

    @pytest.fixture(scope="class")
    def trained(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
        """Four optimizer steps, with a checkpoint in the middle."""
        return train(
            tmp_path_factory.mktemp("adaptation") / "run", *request.cls.recipe(), *TRAINING, plugins=request.cls.plugins
        )

    @pytest.fixture
    def loaded(self, trained: Trained) -> Artifact:
        """The artifact of `trained`, opened."""
        return load(trained.folder, plugins=composer(*self.plugins).plugins)

    def test_some_weights_move_and_no_other(self, trained: Trained) -> None:
        assert trained.moving
        changed = {name for name, weight in trained.after.items() if not torch.equal(weight, trained.before[name])}
        assert changed
        assert changed <= trained.moving, sorted(changed - trained.moving)

    def test_before_training_it_says_what_the_network_says(self, trained: Trained, tmp_path: Path) -> None:
        run = twin(tmp_path / "run", *self.recipe(), plugins=self.plugins)
        base, adapted = logits(self.base(run)), logits(adapt(run))
        assert torch.allclose(base, adapted, atol=1e-4) == ("identity" not in self.cannot)

    def test_a_plan_counts_the_weights_that_move(self, trained: Trained, tmp_path: Path) -> None:
        planned = count_parameters(
            trained.run.model, twin(tmp_path / "run", *self.recipe(), plugins=self.plugins).adaptation
        )
        assert planned.trained == pytest.approx(sum(trained.before[name].numel() for name in trained.moving), rel=0.1)

    def test_what_was_saved_loads_bit_equal(self, trained: Trained, loaded: Artifact) -> None:
        assert torch.equal(logits(loaded.network), logits(trained.network))

    def test_what_was_saved_was_read_back_before_it_got_its_name(self, trained: Trained) -> None:
        proof = json.loads((trained.folder / "artifact" / "manifest.json").read_text(encoding="utf-8"))["proof"]
        whole = (trained.folder / "artifact" / "config.json").is_file()
        known = "luthier" if "plain_peft" in self.cannot else "plain PEFT"
        assert proof["reader"] == ("plain transformers" if whole else known)
        assert proof["nats"] < 1e-3

    def test_the_artifact_holds_little_more_than_what_moved(self, trained: Trained) -> None:
        moved = sum(trained.before[name].nbytes for name in trained.moving)
        assert 0 < _bytes(trained.folder / "artifact") <= 10 * moved

    def test_plain_peft_loads_what_it_knows(self, trained: Trained) -> None:
        known = (trained.folder / "artifact" / "adapter_config.json").is_file()
        assert known == ("plain_peft" not in self.cannot)
        if known:
            from peft import PeftModel

            plain = PeftModel.from_pretrained(self.base(trained.run), str(trained.folder / "artifact"))
            torch.testing.assert_close(logits(plain), logits(trained.network), atol=1e-4, rtol=1e-4)

    def test_a_merged_network_is_plain_and_says_the_same(self, trained: Trained, loaded: Artifact) -> None:
        if "merge" in self.cannot:
            with pytest.raises(RecipeError):
                loaded.merged()
            return
        merged, plain = loaded.merged(), trained.run.model.network()
        assert set(merged.state_dict()) == set(plain.state_dict())
        assert type(merged) is type(plain)
        torch.testing.assert_close(logits(merged), logits(trained.network), atol=1e-4, rtol=1e-4)

    def test_it_answers_token_by_token_as_it_scores(self, loaded: Artifact) -> None:
        asked = [[{"role": "user", "content": "Which wood is it?"}], [{"role": "user", "content": "Why is that?"}]]
        sampling = Sampling(max_new_tokens=6)
        if "generate" in self.cannot:
            with pytest.raises(RecipeError):
                loaded.answers(asked, sampling)
            return
        for conversation, answer in zip(asked, loaded.answers(asked, sampling), strict=True):
            text = loaded.tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
            said = torch.tensor([*text, *answer.ids], dtype=torch.int32).numpy()
            scored = scoring.log_probs(loaded.network, [TokenSequence(said, (said >= 0).astype("float32"))])[0]
            torch.testing.assert_close(torch.tensor(answer.logprobs), torch.from_numpy(scored[len(text) :]).float())

    def test_two_of_them_take_turns_on_one_base(self, trained: Trained, loaded: Artifact, tmp_path: Path) -> None:
        other = train(tmp_path / "other", *self.recipe(), *TRAINING, "seed=1", plugins=self.plugins)
        if "switch" in self.cannot:
            with pytest.raises(RecipeError):
                loaded.add(other.folder, "other")
            return
        loaded.add(other.folder, "other")
        loaded.use("other")
        assert torch.equal(logits(loaded.network), logits(other.network))
        loaded.use("default")
        assert torch.equal(logits(loaded.network), logits(trained.network))
        loaded.use(None)
        assert torch.equal(logits(loaded.network), logits(self.base(trained.run)))
        loaded.use("other")
        assert torch.equal(logits(loaded.network), logits(other.network))

    def test_every_method_trains_it(self, method: str, tmp_path: Path) -> None:
        done = train(tmp_path / "run", *self.recipe(), *RATE, f"method={method}", "stages=[fit]", plugins=self.plugins)
        assert len(done.losses()) == 2
        assert all(torch.isfinite(weight).all() for weight in done.after.values())

    def test_a_resumed_training_is_bit_equal(self, trained: Trained, tmp_path: Path) -> None:
        middle = trained.folder / "checkpoints" / "step-00000002"
        again = twin(tmp_path / "run", *self.recipe(), *TRAINING, f"resume={middle}", plugins=self.plugins)
        again.carry_out()
        after = dict(again.method.network.named_parameters())
        assert {name for name, weight in trained.after.items() if not torch.equal(weight, after[name])} == set()
        assert torch.equal(logits(again.method.network), logits(trained.network))

    def test_bfloat16_computes_nearly_the_same(self, trained: Trained, tmp_path: Path) -> None:
        words = (*self.recipe(), *TRAINING, "trainer.precision=bf16")
        if self._refused("bf16", words, tmp_path):
            return
        assert train(tmp_path / "run", *words, plugins=self.plugins).losses() == pytest.approx(
            trained.losses(), rel=0.01
        )

    def test_it_learns_beside_a_network_in_bfloat16_and_loads_bit_equal(self, tmp_path: Path) -> None:
        words = (*self.recipe(), *TRAINING, "trainer.precision=bf16", "model.dtype=bfloat16")
        if self._refused("bf16", words, tmp_path):
            return
        done = train(tmp_path / "run", *words, plugins=self.plugins)
        assert any(not torch.equal(weight, done.before[name]) for name, weight in done.after.items())
        assert torch.equal(
            logits(load(done.folder, plugins=composer(*self.plugins).plugins).network), logits(done.network)
        )

    def test_gradient_checkpointing_changes_no_gradient(self, tmp_path: Path) -> None:
        words = (*self.recipe(), "model.gradient_checkpointing=true")
        if self._refused("gradient_checkpointing", words, tmp_path):
            return
        plain = _gradients(twin(tmp_path / "plain", *self.recipe(), plugins=self.plugins))
        frugal = _gradients(twin(tmp_path / "frugal", *words, plugins=self.plugins))
        assert plain.keys() == frugal.keys()
        for name, gradient in plain.items():
            torch.testing.assert_close(frugal[name], gradient, atol=1e-5, rtol=1e-4)

    def test_packed_rows_have_the_loss_of_single_ones(self, trained: Trained, tmp_path: Path) -> None:
        if self._refused("packing", (*self.recipe(), "batch.packing=true"), tmp_path):
            return
        blocks = trained.run.data.blocks("train")
        assert blocks is not None
        rows = [blocks.row(number) for number in range(4)]
        with torch.no_grad():
            together, alone = self._loss(trained, rows), [self._loss(trained, [row]) for row in rows]
        torch.testing.assert_close(together, torch.stack(alone).sum(0), atol=1e-3, rtol=1e-4)

    def test_two_ranks_make_one_update(self, trained: Trained, tmp_path: Path) -> None:
        words = (*self.recipe(), *TRAINING, "trainer.precision=fp32", "trainer.max_steps=2")
        if self._refused("ddp", (*words, "trainer=ddp"), tmp_path):
            return
        first, second = (
            _tensors(file) for file in two_ranks(tmp_path / "ranks", *words, *self.together, plugins=self.plugins)
        )
        alone = train(tmp_path / "alone", *words, plugins=self.plugins)
        assert first.keys() == second.keys() == alone.moving
        for name, weight in first.items():
            assert torch.equal(weight, second[name]), name
            torch.testing.assert_close(weight, alone.after[name].detach(), atol=1e-4, rtol=1e-3)

    def _refused(self, wish: str, words: tuple[str, ...], folder: Path) -> bool:
        """Whether the adaptation cannot have this, and says so before anything is built."""
        if wish in self.cannot:
            with pytest.raises(RecipeError):
                twin(folder / "refused", *words, plugins=self.plugins)
        return wish in self.cannot

    def _loss(self, trained: Trained, rows: list[Row]) -> Tensor:
        loss = trained.run.method.loss(collate([rows]))
        return torch.stack([loss.sum, loss.weight]).float()


def _gradients(run: Run) -> dict[str, Tensor]:
    """Of the first batch, by the name of the weight; the network has moved a little, so that none of them is 0."""
    network = adapt(run)
    with torch.no_grad():
        for weight in (weight for weight in network.parameters() if weight.requires_grad):
            weight.add_(torch.sin(torch.arange(weight.numel())).view_as(weight) * 0.01)
    network.train()
    run.method.loss(next(run.data.first_batches())).sum.backward()  # type: ignore[no-untyped-call]
    return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}


def _tensors(file: Path) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - it is no mapping


def _bytes(folder: Path) -> int:
    return sum(tensor.nbytes for file in folder.glob("*.safetensors") for tensor in _tensors(file).values())
