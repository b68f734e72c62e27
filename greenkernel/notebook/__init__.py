"""What happens in a notebook while runs are pending: which cells wait, what they wait for, and what is bound when."""
