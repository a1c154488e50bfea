"""TensorBoard event files: scalars, histograms, images and graphs. Needs the extra `minpy-jit[tensorboard]`.

>>> from minpy_jit.visualization import SummaryWriter
>>> with SummaryWriter("runs/first") as writer:  # doctest: +SKIP
...     writer.add_scalar("loss", loss, step=1)
"""

from __future__ import annotations

from .writer import LegacySummaryWriter, SummaryWriter

__all__ = ["LegacySummaryWriter", "SummaryWriter"]
