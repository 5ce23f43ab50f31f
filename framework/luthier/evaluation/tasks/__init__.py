"""The tasks of an evaluation, one a file."""
