"""How a run trains, and how it survives: checkpoints, signals, guards, records."""
