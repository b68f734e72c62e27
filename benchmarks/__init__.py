"""Speed goals as ratios or limits within one run: ``python -m benchmarks``."""
