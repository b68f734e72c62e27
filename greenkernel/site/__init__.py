"""Places where runs can live."""
