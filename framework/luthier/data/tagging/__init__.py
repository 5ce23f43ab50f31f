"""Entities of a text: its words, spans over them, and the tags that stand for spans."""
