"""How weights move: optimizers, the schedules of their learning rate, and which weights decay."""
