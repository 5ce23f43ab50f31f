from __future__ import annotations

import pytest
import torch
import transformers
from torch import Tensor, nn

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.models.attention import (
    PACKED_ATTENTION,
    AttentionLayer,
    Layout,
    Packed,
    Packing,
    blockwise,
    choose,
    forward_passes,
    packed_attention,
    per_sequence,
    register,
    varlen,
)  # fmt: skip

PLAIN = AttentionLayer(scaling=None, dropout=0.0, window=None, softcap=None, causal=True)


class Causal(nn.Module):
    is_causal = True


@pytest.mark.parametrize(
    ("device", "dtype", "head_dim", "layer", "expected"),
    [
        ("cuda", torch.bfloat16, 64, PLAIN, varlen),
        ("cuda", torch.float16, 256, AttentionLayer(None, 0.0, 128, None, True), varlen),
        ("cuda", torch.float32, 64, PLAIN, per_sequence),
        ("cuda", torch.bfloat16, 512, PLAIN, per_sequence),
        ("cuda", torch.bfloat16, 64, AttentionLayer(None, 0.1, None, None, True), per_sequence),
        ("cuda", torch.bfloat16, 64, AttentionLayer(None, 0.0, None, 50.0, True), per_sequence),
        ("cuda", torch.bfloat16, 64, AttentionLayer(None, 0.0, None, None, False), varlen),
        ("cpu", torch.float32, 64, PLAIN, per_sequence),
        ("cpu", torch.bfloat16, 64, PLAIN, blockwise),
        ("cpu", torch.bfloat16, 64, AttentionLayer(None, 0.1, None, None, True), per_sequence),
        ("cpu", torch.bfloat16, 64, AttentionLayer(None, 0.0, None, 50.0, True), per_sequence),
        ("cpu", torch.bfloat16, 64, AttentionLayer(None, 0.0, None, None, False), per_sequence),
    ],
)
def test_a_kernel_runs_only_what_it_computes_exactly(
    device: str, dtype: torch.dtype, head_dim: int, layer: AttentionLayer, expected: object
) -> None:
    assert choose(device, dtype, head_dim, layer) is expected


def test_varlen_is_called_with_the_window_and_scale_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.nn.attention.varlen as flash

    def reference(q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int, **kw: object):  # type: ignore[no-untyped-def]
        assert cu_q is cu_k
        assert cu_q.dtype == torch.int32
        assert max_q == max_k == 6
        left, right = kw["window_size"]  # type: ignore[misc]
        assert right in (0, left)
        layer = AttentionLayer(kw["scale"], 0.0, None if left == -1 else left + 1, None, right == 0)  # type: ignore[arg-type]
        packing = Packing(tuple(cu_q.tolist()))
        return per_sequence(*(t.transpose(0, 1)[None] for t in (q, k, v)), packing, layer)[0]

    monkeypatch.setattr(flash, "varlen_attn", reference)
    q, k, v = torch.randn(2, 4, 8, 16), torch.randn(2, 2, 8, 16), torch.randn(2, 2, 8, 16)
    packing = Packing((0, 3, 8, 14, 16))
    both_ways = (AttentionLayer(None, 0.0, None, None, False), AttentionLayer(None, 0.0, 3, None, False))
    for layer in (PLAIN, AttentionLayer(0.3, 0.0, 2, None, True), *both_ways):
        torch.testing.assert_close(varlen(q, k, v, packing, layer), per_sequence(q, k, v, packing, layer))


def test_padding_is_skipped_and_gives_zeros() -> None:
    q, k, v = (torch.full((1, 2, 6, 4), torch.nan) for _ in range(3))
    for t in (q, k, v):
        t[:, :, :4] = torch.randn(1, 2, 4, 4)
    out = per_sequence(q, k, v, Packing((0, 4, 6), frozenset({1})), PLAIN)
    assert torch.isfinite(out).all()
    assert not out[:, 4:].any()


def test_padding_is_known_from_the_segments() -> None:
    register()
    segments = torch.tensor([[1, 1, 2, 0], [1, 1, 1, 1]], dtype=torch.int32)
    ids = torch.zeros(2, 4, dtype=torch.long)
    batch = Batch(ids, ids.float(), ids, segments, (0, 2, 3, 4, 8), (0, 1))
    assert forward_passes(batch, Layout(PACKED_ATTENTION, Packed.KERNELS))[0].inputs["packing"].padding == {2}


def test_attention_dropout_reaches_the_kernel() -> None:
    q, k, v = (torch.randn(1, 2, 40, 4) for _ in range(3))
    packing = Packing((0, 40))
    for softcap in (None, 5.0):
        dry, _ = packed_attention(Causal(), q, k, v, None, packing=packing, softcap=softcap)
        wet, _ = packed_attention(Causal(), q, k, v, None, packing=packing, softcap=softcap, dropout=0.5)
        assert not torch.allclose(dry, wet)


@pytest.mark.parametrize("name", ["Llama", "Gemma2"])
def test_generation_with_a_cache_and_left_padding_is_that_of_eager(name: str) -> None:
    register()
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        vocab_size=67, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, sliding_window=6, pad_token_id=0,
        bos_token_id=1, eos_token_id=None,
    )  # fmt: skip
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    ids = torch.tensor([[0, 0, 5, 9, 11, 4], [7, 8, 5, 3, 12, 20]])
    answers = []
    for implementation in ("eager", "luthier_packed"):
        network.set_attn_implementation(implementation)
        answers.append(network.generate(ids, attention_mask=(ids != 0).long(), max_new_tokens=12, do_sample=False))
    assert torch.equal(*answers)


def test_what_the_kernels_do_not_compute_is_refused() -> None:
    q = torch.randn(1, 2, 4, 4)
    for packing in (Packing((0, 4)), None):
        with pytest.raises(RecipeError, match="needs indices in its attention"):
            packed_attention(Causal(), q, q, q, None, packing=packing, indices=torch.zeros(2))


def test_a_sink_takes_its_share_of_the_softmax_and_gives_nothing() -> None:
    q, k, v = (torch.randn(1, 2, 5, 4) for _ in range(3))
    sinks = torch.tensor([0.3, -1.0])
    out, _ = packed_attention(Causal(), q, k, v, None, packing=Packing((0, 2, 5)), s_aux=sinks)
    scores = (q[:, :, 2:] @ k[:, :, 2:].transpose(2, 3) / 2).exp().tril()
    expected = scores / (scores.sum(-1, keepdim=True) + sinks.exp().view(1, 2, 1, 1)) @ v[:, :, 2:]
    torch.testing.assert_close(out[:, 2:].transpose(1, 2), expected)
