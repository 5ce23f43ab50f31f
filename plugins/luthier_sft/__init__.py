"""The recipes of this package are found beside this file; it has no hooks."""
