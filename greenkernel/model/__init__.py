"""From a profile to predictions with intervals."""
