"""GreenKernel: run a notebook cell where and when electricity is green, and have its variables back in time."""
