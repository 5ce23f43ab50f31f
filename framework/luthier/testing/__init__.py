"""Contract suites that authors of plugins inherit: a module for each kind of part, `kinds.KINDS` lists them."""
