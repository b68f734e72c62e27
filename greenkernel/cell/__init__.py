"""From a cell's text and the notebook's names to a capture that can run elsewhere, and back."""
