"""A noisy signal cleaned in the frequency domain, and its spectrogram. Argument: number of samples (8192)."""

import sys

import numpy as np


def lowpass(signal, rate, cutoff):
    spectrum = np.fft.rfft(signal)
    frequencies = np.fft.rfftfreq(signal.size, d=1 / rate)
    spectrum[frequencies > cutoff] = 0
    return np.fft.irfft(spectrum, n=signal.size)


def peaks(power, frequencies, count):
    found = []
    power = power.copy()
    for _ in range(count):
        k = int(np.argmax(power))
        found.append((float(frequencies[k]), float(power[k])))
        power[max(0, k - 3) : k + 4] = 0
    return found


n = int(sys.argv[1]) if len(sys.argv) > 1 else 8192
rate = 1000.0
np.random.seed(7)
t = np.arange(n) / rate
clean = 1.5 * np.sin(2 * np.pi * 5 * t) + np.cos(2 * np.pi * 12.5 * t + 0.3) + 0.5 * np.sin(2 * np.pi * 40 * t)
noisy = clean + np.random.normal(0, 0.8, n) + 0.7 * np.sin(2 * np.pi * 180 * t)

window = np.hanning(n)
spectrum = np.abs(np.fft.rfft(noisy * window)) ** 2 / n
frequencies = np.fft.rfftfreq(n, 1 / rate)
for f, p in peaks(spectrum, frequencies, 4):
    print(f"peak at {f:7.3f} Hz, power {p:9.4f}")

for cutoff in (20, 50, 100, 400):
    rms = np.sqrt(np.mean((lowpass(noisy, rate, cutoff) - clean) ** 2))
    print(f"low pass at {cutoff:3d} Hz: error {rms:.5f}")

segment, hop = 256, 128
starts = range(0, n - segment + 1, hop)
frames = np.array([noisy[s : s + segment] for s in starts]) * np.hanning(segment)
spectrogram = 10 * np.log10(np.abs(np.fft.fft(frames, axis=1)[:, : segment // 2]) ** 2 + 1e-12)
print("spectrogram", spectrogram.shape, "loudest bins", np.bincount(spectrogram.argmax(axis=1))[:6])

kernel = np.exp(-0.5 * (np.arange(-15, 16) / 4.0) ** 2)
kernel /= kernel.sum()
padded = np.zeros(n)
padded[: kernel.size] = kernel
smooth = np.real(np.fft.ifft(np.fft.fft(noisy) * np.fft.fft(np.roll(padded, -15))))
print("circular and direct convolution agree:", np.allclose(smooth[15:-15], np.convolve(noisy, kernel, mode="same")[15:-15]))
print("energy in time and frequency:", np.sum(noisy**2).round(6), np.round(np.sum(np.abs(np.fft.fft(noisy)) ** 2) / n, 6))
