"""Filters on a photograph: grey, blur, edges, sharpening, equalisation, a thumbnail. Argument: take every n-th pixel (2)."""

import sys

import numpy as np
from sklearn.datasets import load_sample_image


def to_grey(image):
    return np.dot(image[..., :3] / 255.0, [0.2989, 0.5870, 0.1140])


def convolve2d(image, kernel):
    kh, kw = kernel.shape
    padded = np.pad(image, ((kh // 2, kh // 2), (kw // 2, kw // 2)), mode="edge")
    out = np.zeros_like(image)
    for i in range(kh):
        for j in range(kw):
            out += kernel[i, j] * padded[i : i + image.shape[0], j : j + image.shape[1]]
    return out


def gaussian_kernel(size, sigma):
    ax = np.arange(size) - size // 2
    kernel = np.exp(-(ax[:, None] ** 2 + ax[None, :] ** 2) / (2 * sigma**2))
    return kernel / kernel.sum()


def sobel(image):
    gx = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=float)
    return np.hypot(convolve2d(image, gx), convolve2d(image, gx.T))


def sharpen(image, amount=1.5):
    return np.clip(image + amount * (image - convolve2d(image, gaussian_kernel(5, 1.0))), 0, 1)


def equalise(image, bins=256):
    histogram, edges = np.histogram(image.flatten(), bins, range=(0, 1))
    cdf = histogram.cumsum()
    cdf = cdf / cdf[-1]
    centres = (edges[:-1] + edges[1:]) / 2
    return np.interp(image.flatten(), centres, cdf).reshape(image.shape)


def sepia(image):
    tone = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    toned = image.astype(np.float64) @ tone.T
    toned[toned > 255] = 255
    return toned.astype(np.uint8)


def thumbnail(image, factor):
    h, w = (s // factor * factor for s in image.shape)
    return image[:h, :w].reshape(h // factor, factor, w // factor, factor).mean(axis=(1, 3))


def report(name, image):
    print(f"{name:10} {image.dtype!s:8} {image.shape}  mean {image.mean():.5f}  std {image.std():.5f}  max {image.max():.5f}")


stride = int(sys.argv[1]) if len(sys.argv) > 1 else 2
photo = np.array(load_sample_image("china.jpg"))[::stride, ::stride]
report("photo", photo)
grey = to_grey(photo)
report("grey", grey)
blurred = convolve2d(grey, gaussian_kernel(7, 2.0))
report("blur", blurred)
edges = sobel(blurred)
report("sobel", edges)
report("sharp", sharpen(grey))
flat = equalise(grey)
report("equalised", flat)
report("sepia", sepia(photo))
report("mirrored", photo[:, ::-1])
mask = edges > edges.mean() + 2 * edges.std()
marked = photo.copy()
marked[mask] = [255, 0, 0]
report("marked", marked)
print(f"{mask.sum()} pixels on edges; rows with the most: {np.argsort(-mask.sum(axis=1), kind='stable')[:5]}")
small = thumbnail(flat, max(1, flat.shape[1] // 60))
for row in small[::2]:
    print("".join(" .:-=+*#%@"[int(v * 9.999)] for v in row))
