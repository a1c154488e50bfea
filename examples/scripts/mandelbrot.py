"""The Mandelbrot set in characters, in real arithmetic. Argument: characters in a line (72)."""

import sys

import numpy as np

width = int(sys.argv[1]) if len(sys.argv) > 1 else 72
height, turns = width // 3, 40
x = np.linspace(-2.2, 0.8, width)
y = np.linspace(-1.2, 1.2, height)[:, np.newaxis]
real, imaginary = np.zeros((height, width)), np.zeros((height, width))
inside = np.zeros((height, width), dtype=int)

for _ in range(turns):
    bounded = real * real + imaginary * imaginary < 4.0
    real, imaginary = (
        np.where(bounded, real * real - imaginary * imaginary + x, real),
        np.where(bounded, 2 * real * imaginary + y, imaginary),
    )
    inside += bounded

shades = " .:-=+*#%@"
for row in inside * (len(shades) - 1) // turns:
    print("".join(shades[k] for k in row))
print(f"{(inside == turns).mean():.2%} of the points never escaped")
