from __future__ import annotations

import copy
import math

import pytest
import torch
import transformers
from torch import nn

from luthier.errors import RecipeError
from luthier.training.optimizers.adamw import AdamW
from luthier.training.optimizers.adamw_8bit import AdamW8bit
from luthier.training.optimizers.groups import with_and_without_decay
from luthier.training.optimizers.muon import Muon
from luthier.training.optimizers.schedules import Constant, Linear


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(11, 6)
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm_head(self.norm(self.first(self.embed_tokens(ids))))


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        ids = torch.randint(11, (5,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(ids), ids).backward()
        optimizer.step()


def no_warmup() -> Constant:
    return Constant(warmup=0.0)


def test_adamw_is_torchs_with_decay_on_hidden_matrices_only() -> None:
    ours, theirs = Tiny(), Tiny()
    made = AdamW(no_warmup(), lr=0.01, beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.3)(ours.named_parameters(), 9)
    rest = [p for name, p in theirs.named_parameters() if name != "first.weight"]
    groups = [{"params": [theirs.first.weight], "weight_decay": 0.3}, {"params": rest, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95), eps=1e-6, fused=False, foreach=False)
    train(ours, made["optimizer"], 5)
    train(theirs, plain, 5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_weight_with_a_rate_of_its_own_moves_that_much_faster_with_each_optimizer() -> None:
    for answer in (AdamW(no_warmup(), lr=0.1, weight_decay=0.5), Muon(no_warmup(), lr=0.1, weight_decay=0.0)):
        slow, fast, bias = (nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2, 2), (2,)))
        named = [("fast", fast), ("slow", slow), ("bias", bias)]
        made = answer(named, 4, lambda name: 3.0 if name == "fast" else 1.0)["optimizer"]
        rates = {weight: group["lr"] for group in made.param_groups for weight in group["params"]}
        assert rates == {slow: 0.1, bias: 0.1, fast: pytest.approx(0.3)}
        assert made.param_groups[0]["lr"] == 0.1, "the rate that a run logs is the recipe's"
        for weight in (slow, fast, bias):
            weight.grad = torch.ones_like(weight)
        made.step()
        assert (1 - fast).mean().item() == pytest.approx(3 * (1 - slow).mean().item(), rel=1e-4)


def test_a_schedule_moves_all_rates_together() -> None:
    slow, fast = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    made = AdamW(Linear(warmup=0.0), lr=0.1)([("slow", slow), ("fast", fast)], 4, {"slow": 1.0, "fast": 2.0}.get)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.075, 0.15])


def test_one_step_of_adamw_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([[2.0]]))
    optimizer = AdamW(no_warmup(), lr=0.1, weight_decay=0.5, eps=0.0)([("hidden", weight)], 1)["optimizer"]
    weight.grad = torch.tensor([[3.0]])
    optimizer.step()
    # decay: 2·(1 - 0.1·0.5) = 1.9; both bias-corrected means equal the first gradient: 3 / √9 = 1; 1.9 - 0.1·1
    assert weight.item() == pytest.approx(1.8)


def test_the_update_of_muon_is_orthogonal() -> None:
    torch.manual_seed(1)
    weight = nn.Parameter(torch.zeros(24, 40))
    optimizer = Muon(no_warmup(), lr=1.0, weight_decay=0.0)([("layers.0.weight", weight)], 1)["optimizer"]
    weight.grad = torch.randn(24, 40)
    optimizer.step()
    update = -weight.detach() / (0.2 * math.sqrt(40))
    singular = torch.linalg.svdvals(update)
    assert singular.min() > 0.6
    assert singular.max() < 1.3  # Newton-Schulz of five steps leaves them around 1
    rotation = torch.linalg.svd(weight.grad, full_matrices=False)
    aligned = torch.diag(rotation.U.T @ update @ rotation.Vh.T)
    torch.testing.assert_close(aligned.sort().values, singular.sort().values, rtol=0.05, atol=0.05)


def test_muon_moves_hidden_matrices_and_adamw_all_else() -> None:
    ours, theirs = Tiny(), Tiny()
    optimizer = Muon(no_warmup(), lr=0.01, weight_decay=0.1)(ours.named_parameters(), 9)["optimizer"]
    first, second = optimizer.optimizers
    assert [id(p) for g in first.param_groups for p in g["params"]] == [id(ours.first.weight)]
    plain = torch.optim.AdamW([p for n, p in theirs.named_parameters() if n != "first.weight"], lr=0.01, weight_decay=0)
    ids = torch.arange(11)
    for network, some in ((ours, optimizer), (theirs, plain)):
        nn.functional.cross_entropy(network(ids), ids).backward()
        some.step()
    torch.testing.assert_close(ours.lm_head.weight, theirs.lm_head.weight)
    assert not torch.allclose(ours.first.weight, theirs.first.weight)
    assert second.param_groups[0]["weight_decay"] == 0.0


@pytest.mark.parametrize("kind", [AdamW, Muon])
def test_saved_and_loaded_halfway_the_run_ends_bit_equal(kind: type[AdamW] | type[Muon]) -> None:
    def make(network: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        made = kind(Linear(warmup=0.25), lr=0.01)(network.named_parameters(), 8)
        return made["optimizer"], made["lr_scheduler"]["scheduler"]

    def run(network: nn.Module, optimizer: torch.optim.Optimizer, scheduler: object, steps: range) -> None:
        for step in steps:
            train(network, optimizer, 1, step)
            scheduler.step()  # type: ignore[attr-defined]

    whole = Tiny()
    run(whole, *make(whole), range(8))

    half = Tiny()
    optimizer, scheduler = make(half)
    run(half, optimizer, scheduler, range(4))
    saved = copy.deepcopy((half.state_dict(), optimizer.state_dict(), scheduler.state_dict()))
    resumed = Tiny()
    optimizer, scheduler = make(resumed)
    for part, state in zip((resumed, optimizer, scheduler), saved, strict=True):
        part.load_state_dict(state)
    run(resumed, optimizer, scheduler, range(4, 8))
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", [AdamW, Muon])
def test_the_schedule_reaches_every_group(kind: type[AdamW] | type[Muon]) -> None:
    network = Tiny()
    made = kind(Linear(warmup=0.0), lr=0.5)(network.named_parameters(), 4)
    rates = []
    for step in range(4):
        before = network.lm_head.weight.clone()
        rates.append({group["lr"] for group in made["optimizer"].param_groups})
        train(network, made["optimizer"], 1, step)
        assert not torch.equal(before, network.lm_head.weight)
        made["lr_scheduler"]["scheduler"].step()
    assert rates == [{0.5}, {0.375}, {0.25}, {0.125}]
    assert made["lr_scheduler"]["interval"] == "step"


@pytest.mark.parametrize("name", ["Llama", "GPT2", "GPTNeoX"])
def test_norms_biases_embeddings_and_heads_of_real_architectures_do_not_decay(name: str) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = getattr(transformers, f"{name}Config")(**sizes, vocab_size=50, tie_word_embeddings=False)
    network = transformers.AutoModelForCausalLM.from_config(config)
    decay, rest = with_and_without_decay(network.named_parameters(), 0.1)
    names = {id(p): n for n, p in network.named_parameters()}
    kept = {names[id(p)] for p in rest["params"]}
    assert decay["weight_decay"] == 0.1
    assert rest["weight_decay"] == 0.0
    assert all(p.ndim == 2 and 50 not in p.shape for p in decay["params"])
    assert all(any(part in n for part in ("norm", "ln_", "bias", "embed", "wte", "wpe", "lm_head")) for n in kept)
    assert len(decay["params"]) + len(rest["params"]) == len(names)


@pytest.mark.parametrize("kind", [AdamW, AdamW8bit, Muon])
def test_nothing_to_train_is_said(kind: type[AdamW] | type[AdamW8bit] | type[Muon]) -> None:
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    with pytest.raises(RecipeError, match="no weight to train"):
        kind(no_warmup())([("weight", frozen)], 1)


def test_eight_bits_are_refused_where_they_do_not_run() -> None:
    with pytest.raises(RecipeError, match="runs on CUDA devices, but the weights are on cpu") as refusal:
        AdamW8bit(no_warmup())(Tiny().named_parameters(), 1)
    assert "optimizer=adamw" in refusal.value.hint
