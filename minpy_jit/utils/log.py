"""MinPy's loggers."""

from __future__ import annotations

import logging

__all__ = ["get_logger"]

_handler = logging.StreamHandler()
_handler.setFormatter(logging.Formatter("%(levelname).1s%(asctime)s %(name)s] %(message)s", "%m%d %H:%M:%S"))


def get_logger(name: str | None = None, level: int = logging.WARNING) -> logging.Logger:
    """The logger of that name, which writes to the standard error stream.

    Args:
        name: None: the root logger, left as it is.
        level: set where this is the first call for that name.
    """
    logger = logging.getLogger(name)
    if name and _handler not in logger.handlers:
        logger.addHandler(_handler)
        logger.setLevel(level)
    return logger
