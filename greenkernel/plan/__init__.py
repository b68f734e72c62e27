"""Predictions, signals and a due date -> a plan: which site, with how many cores, from when to when, and why."""
