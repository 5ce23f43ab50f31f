"""What a raw row means: each format turns a row of a source into an Example, or says why it cannot.

A format is a small class with a file and an option file of its own; `detect` finds out which one rows have.
"""
