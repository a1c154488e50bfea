"""MinPy's package of helpers."""
