"""Training: methods, optimizers, the trainer, checkpoints, signals, trackers."""
