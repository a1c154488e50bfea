"""Heat in a square plate whose edges are kept cold: explicit finite differences, as one writes them in NumPy."""

import numpy as np

size, rate = 66, 0.2
plate = np.zeros((size, size))
plate[20:30, 20:30] = 100.0
plate[40:44, 10:56] = 60.0

for step in range(1, 501):
    inner = plate[1:-1, 1:-1]
    around = plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:]
    inner += rate * (around - 4 * inner)
    if step % 100 == 0:
        print(f"step {step}: hottest {plate.max():.4f}, mean {plate.mean():.4f}")
        if plate.max() < 20:
            print("cold enough")
            break

row, column = np.unravel_index(plate.argmax(), plate.shape)
print("hottest spot:", (int(row), int(column)))
print(plate[:: size // 5, :: size // 5].round(2))
