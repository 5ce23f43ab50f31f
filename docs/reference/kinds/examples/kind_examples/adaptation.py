"""Some of the network's own weights move."""

from luthier.api import NamedWeightsAdaptation


class Norms(NamedWeightsAdaptation):
    """Train the scales of the normalisation layers alone."""

    def __init__(self, *, last: bool = True) -> None:
        self.last = last

    def __call__(self, network):
        for name, weight in network.named_parameters():
            of_layer = "layernorm" in name
            weight.requires_grad_(of_layer or (self.last and name.endswith("norm.weight")))
        return network

    def merge(self, network):
        return network
