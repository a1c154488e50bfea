"""10,000 steps of Adam with a learning rate that warms up and then falls: as many compiled programs as after step 2, and as much memory."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from example_data import digits

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn import layers, optim


def loss(p, x, y):
    return layers.softmax_loss(layers.affine(layers.relu(layers.affine(x, p["w1"], p["b1"])), p["w2"], p["b2"]), y)


def resident() -> float:
    """This process's memory, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main(arguments: list[str] | None = None) -> dict[int, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    steps = parser.parse_args(arguments).steps

    rng = np.random.default_rng(0)
    x, y, held_out_x, held_out_y = digits()
    x, held_out_x = (np.array(a.reshape(-1, 64).astype("float32")) for a in (x, held_out_x))
    shapes = {"w1": (64, 64), "b1": (64,), "w2": (64, 10), "b2": (10,)}
    params = {name: (0.1 * rng.standard_normal(shape)).astype("float32") for name, shape in shapes.items()}
    minpy_jit.flush(params)
    schedule = optim.warmup_schedule(optim.cosine_schedule(2e-3, steps * 9 // 10), steps // 10)
    configs = {name: {"learning_rate": schedule} for name in params}
    gradient = minpy_jit.value_and_grad(loss)

    begun, at, found = time.perf_counter(), {2, steps // 10, steps // 2, steps}, {}
    minpy_jit.reset_stats()
    for step in range(1, steps + 1):
        chosen = slice(step % 44 * 32, step % 44 * 32 + 32)
        value, gradients = gradient(params, x[chosen], y[chosen])
        for name in params:
            params[name], configs[name] = optim.adam(params[name], gradients[name], configs[name])
        minpy_jit.flush()
        if step in at:
            stats = minpy_jit.stats()
            found[step] = {"compiles": stats["compiles"], "bytes_held": stats["bytes_held"], "resident": resident()}
            print(
                f"step {step:6}: rate {schedule(step - 1):.6f}, loss {float(value):.6f}, {stats['compiles']} compiled, "
                f"{stats['bytes_held'] / 1024:.0f} KiB held, {found[step]['resident']:.1f} MiB resident"
            )
    hidden = layers.relu(layers.affine(held_out_x, params["w1"], params["b1"]))
    accuracy = float(np.mean(np.argmax(layers.affine(hidden, params["w2"], params["b2"]), axis=1) == held_out_y))
    print(f"held-out accuracy: {accuracy:.1%}, {(time.perf_counter() - begun) / steps * 1e3:.2f} ms a step")
    return found


if __name__ == "__main__":
    main()
