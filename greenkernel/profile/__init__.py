"""Small slices of a cell, really run, and what they used."""
