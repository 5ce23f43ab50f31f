"""Where examples come from: files, folders, hubs, packages, luthier itself, and mixtures of these."""
