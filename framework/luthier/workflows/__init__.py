"""What strings runs together: one run, its wiring, pipelines, cached runs, plans, comparisons, advice, sweeps."""
