"""From a plan to a result: ship, follow, relocate, reconcile."""
