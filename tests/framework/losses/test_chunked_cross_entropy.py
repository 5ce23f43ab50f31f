from __future__ import annotations

import pytest
import torch
from torch import Tensor

from luthier.models.losses import chunked_cross_entropy, token_log_probs

FORMS = [{}, {"softcap": 3.0}, {"scale": 0.25}, {"scale": 2.0, "softcap": 5.0}]


def parts(dtype: torch.dtype = torch.float64, rows: int = 11, width: int = 6, vocabulary: int = 17) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, width, generator=random, dtype=dtype).requires_grad_()
    head = torch.randn(vocabulary, width, generator=random, dtype=dtype).requires_grad_()
    bias = torch.randn(vocabulary, generator=random, dtype=dtype).requires_grad_()
    targets = torch.randint(vocabulary, (rows,), generator=random)
    weights = torch.rand(rows, generator=random)
    weights[[0, 4, -3]] = 0.0
    return [hidden, head, bias, targets, weights]


def plain_log_probs(
    hidden: Tensor, head: Tensor, bias: Tensor, targets: Tensor, scale: float = 1.0, softcap: float | None = None
) -> Tensor:
    logits = (hidden @ head.T + bias) * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    return torch.log_softmax(logits, dim=-1)[torch.arange(len(targets)), targets]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_sum_and_gradients_are_those_of_the_plain_formula(form: dict[str, float], chunk: int) -> None:
    hidden, head, bias, targets, weights = parts()
    total, weight = chunked_cross_entropy(hidden, head, targets, weights, bias=bias, chunk=chunk, **form)
    got = torch.autograd.grad(3.0 * total, [hidden, head, bias])
    plain = -(plain_log_probs(hidden, head, bias, targets, **form) * weights).sum()
    wanted = torch.autograd.grad(3.0 * plain, [hidden, head, bias])
    torch.testing.assert_close(total, plain, rtol=1e-10, atol=1e-10)
    assert weight.item() == pytest.approx(weights.sum().item())
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_pass_torch_gradcheck_in_float64(form: dict[str, float]) -> None:
    hidden, head, bias, targets, weights = parts(rows=5, width=3, vocabulary=7)

    def loss(hidden: Tensor, head: Tensor, bias: Tensor) -> Tensor:
        return chunked_cross_entropy(hidden, head, targets, weights, bias=bias, chunk=2, **form)[0]

    def log_probs(hidden: Tensor, head: Tensor, bias: Tensor) -> Tensor:
        return token_log_probs(hidden, head, targets, bias=bias, chunk=2, **form)

    assert torch.autograd.gradcheck(loss, (hidden, head, bias))
    assert torch.autograd.gradcheck(log_probs, (hidden, head, bias))


@pytest.mark.parametrize("form", FORMS)
def test_log_probs_are_those_of_the_plain_formula(form: dict[str, float]) -> None:
    hidden, head, bias, targets, _ = parts()
    got = token_log_probs(hidden, head, targets, bias=bias, chunk=4, **form)
    torch.testing.assert_close(got, plain_log_probs(hidden, head, bias, targets, **form))


def test_a_target_of_weight_zero_is_never_looked_at() -> None:
    hidden, head, _, targets, weights = parts()
    expected, _ = chunked_cross_entropy(hidden, head, targets, weights)
    targets[weights == 0] = -100
    got, _ = chunked_cross_entropy(hidden, head, targets, weights)
    assert got == expected


def test_rows_of_weight_zero_never_meet_the_head() -> None:
    hidden, head, _, targets, weights = parts()
    with torch.no_grad():
        hidden[weights == 0] = torch.nan
    total, _ = chunked_cross_entropy(hidden, head, targets, weights)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(head.grad).all()
    assert (hidden.grad[weights == 0] == 0).all()


def test_a_batch_without_trained_tokens_gives_zero_gradients_to_every_parameter() -> None:
    hidden, head, _, targets, weights = parts()
    total, weight = chunked_cross_entropy(hidden, head, targets, torch.zeros_like(weights))
    total.backward()
    assert total == 0
    assert weight == 0
    assert not hidden.grad.any()
    assert not head.grad.any()


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, head, _, targets, weights = parts()
    total, _ = chunked_cross_entropy(hidden, head.detach(), targets, weights)
    total.backward()
    assert head.grad is None
    assert hidden.grad.abs().sum() > 0


def test_evaluation_makes_no_gradients() -> None:
    hidden, head, _, targets, weights = parts()
    with torch.no_grad():
        total, _ = chunked_cross_entropy(hidden, head, targets, weights)
    assert not total.requires_grad


def test_a_second_backward_is_refused_rather_than_wrong() -> None:
    hidden, head, _, targets, weights = parts()
    total, _ = chunked_cross_entropy(hidden, head, targets, weights)
    total.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        total.backward()


def test_the_head_may_be_the_embedding_too() -> None:
    hidden, head, bias, targets, weights = parts()
    tokens = torch.randint(len(head), (len(hidden),), generator=torch.Generator().manual_seed(1))

    def gradient(loss: object) -> Tensor:
        head.grad = None
        loss(torch.tanh(head[tokens])).backward()  # type: ignore[operator]
        return head.grad

    ours = gradient(lambda h: chunked_cross_entropy(h, head, targets, weights, bias=bias, chunk=3)[0])
    plain = gradient(lambda h: -(plain_log_probs(h, head, bias, targets) * weights).sum())
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-10)


def test_under_autocast_the_matmul_is_bf16_and_gradients_arrive_in_the_dtype_of_the_parameters() -> None:
    hidden, head, bias, targets, weights = parts(torch.float32, rows=64, width=32, vocabulary=101)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = chunked_cross_entropy(hidden, head, targets, weights, bias=bias, chunk=16)
    total.backward()
    got = [hidden.grad, head.grad, bias.grad]
    plain = -(plain_log_probs(hidden, head, bias, targets) * weights).sum()
    wanted = torch.autograd.grad(plain, [hidden, head, bias])
    assert total.dtype == torch.float32
    assert total != plain
    assert abs(total - plain) < 0.01 * plain
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_bf16_inputs_lose_only_the_rounding_of_the_matmul() -> None:
    hidden, head, bias, targets, weights = parts(torch.bfloat16, rows=64, width=32, vocabulary=101)
    total, _ = chunked_cross_entropy(hidden, head, targets, weights, bias=bias, chunk=4)
    total.backward()
    wide = [t.detach().float().requires_grad_() for t in (hidden, head, bias)]
    plain = -(plain_log_probs(*wide, targets) * weights).sum()
    plain.backward()
    assert abs(total - plain) < 0.01 * plain
    for ours, theirs in zip((hidden, head, bias), wide, strict=True):
        assert ours.grad.dtype == torch.bfloat16
        assert (ours.grad.float() - theirs.grad).norm() < 0.02 * theirs.grad.norm()


def test_sums_of_parts_are_the_sum_of_the_whole() -> None:
    hidden, head, _, targets, weights = parts()
    whole, weight = chunked_cross_entropy(hidden, head, targets, weights)
    halves = [chunked_cross_entropy(hidden[p], head, targets[p], weights[p]) for p in (slice(0, 5), slice(5, 11))]
    torch.testing.assert_close(sum(s for s, _ in halves), whole)
    torch.testing.assert_close(sum(w for _, w in halves), weight)
