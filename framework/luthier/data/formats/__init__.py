"""Formats: each converts the raw rows of a source to examples, or raises an error that names the misfit.

A format is a class in a file of its own with an option file in `data/format`; `detect` detects the format of rows.
"""
