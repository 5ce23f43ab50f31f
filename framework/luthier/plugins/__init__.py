"""The plugin manager, the hooks and how they are called."""
