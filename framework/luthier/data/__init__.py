"""From records to batches: sources, formats, splits, encoding, packing, the loader."""
