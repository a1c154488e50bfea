"""The version of minpy_jit; the packaging reads it from here."""

__version__ = "0.1.0"
