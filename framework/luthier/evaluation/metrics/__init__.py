"""How good is a text? One metric a file: per-example statistics and the function from their totals to the value."""
