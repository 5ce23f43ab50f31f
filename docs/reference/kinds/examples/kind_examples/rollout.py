"""Answers of the network that is trained, one prompt at a time."""

from dataclasses import dataclass, replace

from luthier.api import SampledRollout, generate_from_tokens


@dataclass(kw_only=True, eq=False)
class OneByOne(SampledRollout):
    """Sample from the network that is trained, one prompt after the other: less memory, more time."""

    def use(self, model, adapted):
        self.tokenizer = model.tokenizer

    def __call__(self, network, prompts, numbers, count, seed):
        sampling = replace(self.sampling, seed=seed, num_samples=count)
        pairs = zip(prompts, numbers, strict=True)
        return [
            answer
            for prompt, number in pairs
            for answer in generate_from_tokens(network, self.tokenizer, [prompt], sampling, numbers=[number])
        ]

    def greedy(self, network, prompts):
        sampling = replace(self.sampling, temperature=0.0)
        return generate_from_tokens(network, self.tokenizer, prompts, sampling)
