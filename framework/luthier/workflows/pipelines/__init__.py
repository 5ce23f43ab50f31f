"""`luthier pipeline=NAME`: recipes one after another, each of which may start from what an earlier one left."""
