"""Carbon intensity over time: zone -> measured past and forecast, with kind, scope, source and age."""
