"""A recurrent language model that nobody knows: a decaying sum of embeddings, which may be told where texts end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput


class RecurrentConfig(PretrainedConfig):
    model_type = "recurrent_of_nobody"

    def __init__(self, vocab_size: int = 96, hidden_size: int = 16, *, listens: bool = True, **rest: Any) -> None:
        super().__init__(**rest)
        self.vocab_size, self.hidden_size, self.listens = vocab_size, hidden_size, listens
        self.layer_types = ["linear_attention"]


class Trunk(nn.Module):
    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.mix = nn.Linear(config.hidden_size, config.hidden_size)
        self.listens = config.listens

    def forward(self, input_ids: Tensor, cu_seq_lens_q: Tensor | None = None, **rest: Any) -> BaseModelOutput:
        hidden, rows = self.embed(input_ids), []
        starts = set(cu_seq_lens_q.tolist()) if self.listens and cu_seq_lens_q is not None else set()
        for row in range(len(input_ids)):
            state, out = hidden.new_zeros(hidden.shape[-1]), []
            for place in range(input_ids.shape[1]):
                if row * input_ids.shape[1] + place in starts:
                    state = torch.zeros_like(state)
                state = torch.tanh(self.mix(0.7 * state + hidden[row, place]))
                out.append(state)
            rows.append(torch.stack(out))
        return BaseModelOutput(last_hidden_state=torch.stack(rows))


class RecurrentForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = RecurrentConfig
    base_model_prefix = "model"

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        torch.manual_seed(0)
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)

    def get_decoder(self) -> nn.Module:
        return self.model

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(self, input_ids: Tensor, logits_to_keep: int = 0, **rest: Any) -> CausalLMOutput:
        hidden = self.model(input_ids, **rest).last_hidden_state
        return CausalLMOutput(logits=self.lm_head(hidden[:, -logits_to_keep:]))
