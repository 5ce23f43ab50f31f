"""Selections of in-context examples, one class a file."""
