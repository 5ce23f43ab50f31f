"""Gradient descent with momentum."""

import torch

from luthier.api import parameter_groups, scheduled


class Sgd:
    """Move each weight against the running mean of its gradient."""

    def __init__(self, schedule, *, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        self.schedule, self.lr, self.momentum, self.weight_decay = schedule, lr, momentum, weight_decay

    def __call__(self, named_parameters, total_steps, rate):
        groups = parameter_groups(named_parameters, self.lr, self.weight_decay, rate)
        optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum)
        return scheduled(optimizer, self.schedule, total_steps)
