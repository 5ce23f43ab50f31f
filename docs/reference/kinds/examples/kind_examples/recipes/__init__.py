"""The option files of the examples."""
