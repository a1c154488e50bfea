"""TensorBoard's event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pytest
from tensorboard.backend.event_processing import event_accumulator as accumulator

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.visualization import SummaryWriter, summaryOps, writer


def read(path: Path) -> Any:
    found = accumulator.EventAccumulator(str(path), size_guidance=dict.fromkeys(("scalars", "histograms", "images"), 0))
    found.Reload()
    return found


def test_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as log:
        for step in range(100):
            log.add_scalar("loss", np.array(1.0) / (step + 1), step)
            log.add_scalar("rate", 0.5, step)
    found = read(tmp_path)
    assert found.Tags()["scalars"] == ["loss", "rate"]
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(k, pytest.approx(1 / (k + 1))) for k in range(100)]
    assert {e.value for e in found.Scalars("rate")} == {0.5}


def test_values_stay_lazy_until_they_are_written(tmp_path: Path) -> None:
    log = SummaryWriter(tmp_path)
    x = np.ones(3)
    total = x * 1
    minpy_jit.reset_stats()
    for step in range(20):
        log.add_scalar("sum", np.sum(total), step)
        log.add_histogram("all", total, step)
        total += x
    assert minpy_jit.stats()["flushes"] == 0
    log.flush()
    assert minpy_jit.stats()["flushes"] == 1
    found = read(tmp_path)
    assert [e.value for e in found.Scalars("sum")] == [3.0 * (k + 1) for k in range(20)]
    # noted as they were, whatever was added later
    assert [e.histogram_value.max for e in found.Histograms("all")] == [k + 1.0 for k in range(20)]
    log.close()
    log.close()
    with pytest.raises(ValueError, match="is closed"):
        log.add_scalar("sum", 1.0)


def test_histograms(tmp_path: Path) -> None:
    values = numpy.random.default_rng(0).normal(2.0, 1.0, 1000)
    with SummaryWriter(tmp_path) as log:
        log.add_histogram("weights", values, step=7, bins=10)
        values[:] = 0
    (event,) = read(tmp_path).Histograms("weights")
    found = event.histogram_value
    values = numpy.random.default_rng(0).normal(2.0, 1.0, 1000)
    assert event.step == 7 and (found.min, found.max, found.num) == (values.min(), values.max(), 1000)
    assert found.sum == pytest.approx(values.sum()) and found.sum_squares == pytest.approx((values**2).sum())
    counts, edges = numpy.histogram(values, 10)
    numpy.testing.assert_array_equal([b for b in found.bucket if b], counts[counts > 0])
    numpy.testing.assert_allclose([limit for limit in found.bucket_limit if limit in edges], edges[1:])


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (5, 3, 3), (5, 3, 4)])
def test_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    from matplotlib import image

    pixels = numpy.random.default_rng(0).integers(0, 256, shape, numpy.uint8)
    with SummaryWriter(tmp_path) as log:
        log.add_image("bytes", np.array(pixels))
        log.add_image("floats", pixels / 255)
    found = read(tmp_path)
    for tag in ("bytes", "floats"):
        (event,) = found.Images(tag)
        assert (event.height, event.width) == shape[:2]
        shown = image.imread(io.BytesIO(event.encoded_image_string))
        numpy.testing.assert_array_equal(numpy.rint(shown * 255), pixels.reshape(shown.shape))


def test_graph(tmp_path: Path) -> None:
    w = np.ones((3, 2))

    def layer(x: Any) -> Any:
        return np.tanh(x @ w) + 1

    with SummaryWriter(tmp_path) as log:
        log.add_graph(layer, np.ones((4, 3)))
        with pytest.raises(minpy_jit.errors.TraceError):
            log.add_graph(lambda x: x if float(x.sum() + 1) else -x, np.ones(2))
    nodes = {n.name: n for n in read(tmp_path).Graph().node}
    ops = {n.op: n for n in nodes.values()}
    assert set(ops) == {"input", "scalar", "matmul", "tanh", "add"}
    assert [nodes[i].op for i in ops["add"].input] == ["tanh", "scalar"]
    assert [nodes[i].op for i in ops["matmul"].input] == ["input", "input"]
    assert [d.size for d in ops["add"].attr["_output_shapes"].list.shape[0].dim] == [4, 2]


def test_minpys_spelling(tmp_path: Path) -> None:
    log = writer.LegacySummaryWriter(str(tmp_path))
    log.add_summary(summaryOps.scalarSummary("accuracy", 0.75), 3)
    log.close()
    (event,) = read(tmp_path).Scalars("accuracy")
    assert (event.step, event.value) == (3, 0.75)


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        (summaryOps.scalarSummary("a", numpy.ones(2)), r"'a' needs one number; got an array of shape \(2,\)"),
        (summaryOps.histogramSummary("b", numpy.array([1.0, numpy.nan])), "'b' needs finite numbers"),
        (summaryOps.histogramSummary("b", numpy.ones(0)), "one at least"),
        (summaryOps.imageSummary("c", numpy.ones((2, 2, 2))), r"needs shape \(height, width\) or .*; got \(2, 2, 2\)"),
    ],
)
def test_wrong_values(tmp_path: Path, summary: Any, message: str) -> None:
    log = SummaryWriter(tmp_path)
    log.add_summary(summary)
    log.add_scalar("after", 1.0)
    with pytest.raises(ValueError, match=message):
        log.flush()
    log.close()
    assert [e.value for e in read(tmp_path).Scalars("after")] == [1.0]
