"""Stars that attract each other: leapfrog steps, all pairs at once. Argument: how many stars (100)."""

import sys

import numpy as np

G = 1.0
SOFTENING = 0.1


def accelerations(pos, mass):
    x = pos[:, 0:1]
    y = pos[:, 1:2]
    z = pos[:, 2:3]
    dx = x.T - x
    dy = y.T - y
    dz = z.T - z
    inv_r3 = dx**2 + dy**2 + dz**2 + SOFTENING**2
    inv_r3[inv_r3 > 0] = inv_r3[inv_r3 > 0] ** (-1.5)
    ax = G * (dx * inv_r3) @ mass
    ay = G * (dy * inv_r3) @ mass
    az = G * (dz * inv_r3) @ mass
    return np.hstack((ax, ay, az))


def energy(pos, vel, mass):
    kinetic = 0.5 * np.sum(mass * vel**2)
    d = pos[None, :, :] - pos[:, None, :]
    r = np.sqrt((d**2).sum(axis=2) + SOFTENING**2)
    potential = -G * np.sum(np.triu(mass * mass.T / r, 1))
    return kinetic, potential


def main(n):
    np.random.seed(17)
    mass = 20.0 * np.ones((n, 1)) / n
    pos = np.random.randn(n, 3)
    vel = np.random.randn(n, 3)
    vel -= np.mean(mass * vel, 0) / np.mean(mass)

    dt = 0.01
    acc = accelerations(pos, mass)
    for step in range(201):
        if step % 50 == 0:
            kinetic, potential = energy(pos, vel, mass)
            print(f"t = {step * dt:4.2f}  kinetic {kinetic:9.5f}  potential {potential:9.5f}  total {kinetic + potential:9.5f}")
        vel += acc * dt / 2.0
        pos += vel * dt
        acc = accelerations(pos, mass)
        vel += acc * dt / 2.0

    print("centre of mass", np.round((mass * pos).sum(axis=0) / mass.sum(), 6) + 0.0)
    print("farthest star ", np.linalg.norm(pos, axis=1).max())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
