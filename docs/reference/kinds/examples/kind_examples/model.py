"""A model that is made of another one."""

import torch


class Scaled:
    """The model of the nested question `base`, its embeddings multiplied by `factor`."""

    def __init__(self, base, *, factor: float = 0.5) -> None:
        self.base, self.factor = base, factor

    @property
    def tokenizer(self):
        return self.base.tokenizer

    @property
    def config(self):
        return self.base.config

    def network(self):
        network = self.base.network()
        with torch.no_grad():
            network.get_input_embeddings().weight.mul_(self.factor)
        return network

    def lineage(self):
        return {"kind": "scaled", "name": "scaled", "factor": self.factor, "base": self.base.lineage()}
