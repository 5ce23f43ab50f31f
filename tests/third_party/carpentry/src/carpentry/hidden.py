"""A name that no statement binds."""

from carpentry.dynamic import make

globals()["Hidden"] = make("Hidden")
