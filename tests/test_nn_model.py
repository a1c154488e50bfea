"""`ModelBase`: parameters and their dtypes, casts, gradients, contexts, files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn import layers
from minpy_jit.nn.io import DataBatch
from minpy_jit.nn.model import ModelBase

Array = Any


class TwoLayers(ModelBase):
    """As MinPy's users write it."""

    def __init__(self, ctx: Any = None, dtype: Any = None) -> None:
        super().__init__(ctx)
        self.add_param(name="w1", shape=(6, 5), dtype=dtype).add_param(name="b1", shape=(5,), init_rule="constant")
        self.add_param(name="w2", shape=(5, 3)).add_param(name="b2", shape=(3,), init_rule="constant", init_config={"value": 0.5})

    def forward(self, X: Array, mode: str) -> Array:
        X = np.reshape(X, (X.shape[0], 6))
        hidden = layers.relu(layers.affine(X, self.params["w1"], self.params["b1"]))
        return layers.affine(hidden, self.params["w2"], self.params["b2"])

    def loss(self, predict: Array, y: Array) -> Array:
        return layers.softmax_loss(predict, y)


X = numpy.random.default_rng(0).standard_normal((4, 2, 3))
Y = numpy.array([0, 2, 1, 1])


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    np.random.seed(0)
    yield
    minpy_jit.set_default_dtype(None)


def made(**arguments: Any) -> TwoLayers:
    model = TwoLayers(**arguments)
    model.initialise()
    return model


def test_parameters_are_float32_unless_told_otherwise() -> None:
    assert {p.dtype.name for p in made().params.values()} == {"float32"}
    assert {name: p.dtype.name for name, p in made(dtype="float64").params.items()} == {
        "w1": "float64",
        "b1": "float32",
        "w2": "float32",
        "b2": "float32",
    }
    for dtype in ("float64", "float32"):
        minpy_jit.set_default_dtype(dtype)
        assert {p.dtype.name for p in made().params.values()} == {dtype}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_cast_to_the_parameters_dtype(dtype: str) -> None:
    minpy_jit.set_default_dtype(dtype)
    model = made()
    batch = model.cast(DataBatch([X], [Y]))
    assert batch.data[0].dtype == dtype
    assert batch.label[0].dtype == "int64"
    predictions = model.forward_batch(batch, "train")
    assert predictions.dtype == dtype
    loss, gradients = model.differentiate(lambda: model.loss_batch(batch, predictions))
    assert loss.dtype == dtype
    assert {name: (g.dtype.name, g.shape) for name, g in gradients.items()} == {n: (dtype, p.shape) for n, p in model.params.items()}


def test_the_dtype_that_batches_are_cast_to() -> None:
    assert made(dtype="float64").dtype == "float64"
    assert TwoLayers(dtype="float64").dtype == "float64"
    assert ModelBase().dtype == "float32"
    minpy_jit.set_default_dtype("float64")
    assert ModelBase().dtype == "float64"


def test_rules_of_parameters_go_before_the_models() -> None:
    model = TwoLayers()
    model.initialise("constant", {"value": 2.0})
    assert set(model.params["w1"].ravel().tolist()) == {2.0}
    assert set(model.params["b1"].tolist()) == {0.0}
    assert set(model.params["b2"].tolist()) == {0.5}


def test_gradients_are_those_of_finite_differences() -> None:
    minpy_jit.set_default_dtype("float64")
    model = made()
    batch = model.cast(DataBatch([X], [Y]))

    def objective() -> Array:
        return model.loss_batch(batch, model.forward_batch(batch, "train"))

    for _ in range(3):
        loss, gradients = model.differentiate(objective)
        assert float(loss) == pytest.approx(float(objective()), rel=1e-12)
        for name, gradient in gradients.items():
            kept, direction = model.params[name], numpy.random.default_rng(1).standard_normal(gradient.shape)
            values = []
            for step in (1e-6, -1e-6):
                model.params[name] = kept + step * direction
                values.append(float(objective()))
            model.params[name] = kept
            assert float(np.sum(gradient * direction)) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_an_objective_that_raises_leaves_the_parameters() -> None:
    model = made()
    before = dict(model.params)

    def objective() -> Array:
        model.params["w1"] = model.params["w1"] * 2
        raise KeyError("nothing here")

    with pytest.raises(KeyError, match="nothing here"):
        model.differentiate(objective)
    assert all(model.params[name] is value for name, value in before.items())


def test_auxiliary_parameters() -> None:
    model = ModelBase().add_aux_param("mean", None).add_aux_param("count", 3)
    assert model.aux_params == {"mean": None, "count": 3}
    model.aux_params["mean"] = np.ones(2)
    model.initialise()
    assert model.aux_params == {"mean": None, "count": 3}


def test_errors_say_what_is_wrong() -> None:
    model = TwoLayers()
    with pytest.raises(ValueError, match=r"\[add_param\] there is a parameter 'w1' already"):
        model.add_param("w1", (3,))
    with pytest.raises(ValueError, match=r"\[add_params\] parameter 'w3' has no shape; got \{'init_rule': 'he'\}"):
        model.add_params({"w3": {"init_rule": "he"}})
    with pytest.raises(ValueError, match=r"\[add_aux_param\] there is an auxiliary parameter 'm' already"):
        model.add_aux_param("m", 0).add_aux_param("m", 0)
    with pytest.raises(NotImplementedError, match=r"\[ModelBase\] give forward\(X, mode\)"):
        ModelBase().forward(X, "test")
    with pytest.raises(NotImplementedError, match=r"\[ModelBase\] give loss\(predict, y\)"):
        ModelBase().loss(X, Y)


def test_a_model_lives_on_its_context() -> None:
    there = minpy_jit.cpu(1)
    model = made(ctx=there)
    assert {p.context for p in model.params.values()} == {there}
    batch = model.cast(DataBatch([X], [Y]))
    loss, gradients = model.differentiate(lambda: model.loss_batch(batch, model.forward_batch(batch, "train")))
    assert loss.context == there
    assert {g.context for g in gradients.values()} == {there}


# -- files ---------------------------------------------------------------------------------------------------------------------------------
def test_save_and_load(tmp_path: Path) -> None:
    model = made(dtype="float64")
    model.add_aux_param("mean", np.arange(3.0)).add_aux_param("nothing", None)
    model.save(tmp_path / "net")
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]
    other = TwoLayers(dtype="float64").add_aux_param("mean", None).add_aux_param("nothing", None)
    other.load(tmp_path / "net")
    for name, value in model.params.items():
        assert other.params[name].dtype == value.dtype
        assert (other.params[name] == value).all()
    assert other.aux_params["mean"].tolist() == [0.0, 1.0, 2.0]
    assert other.aux_params["nothing"] is None
    x = np.array(X)
    assert (other.forward(x, "test") == model.forward(x, "test")).all()


def test_loading_casts_to_the_models_dtype_and_context(tmp_path: Path) -> None:
    made().save(tmp_path / "net")
    model = TwoLayers(dtype="float64", ctx=minpy_jit.cpu(1))
    model.load(tmp_path / "net")
    assert model.params["w1"].dtype == "float64" and model.params["w2"].dtype == "float32"
    assert model.params["w1"].context == minpy_jit.cpu(1)


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\[load\] neither .*net\.npz nor .*net\.params is there"):
        TwoLayers().load(tmp_path / "net")
    small = ModelBase().add_param("w1", (6, 4))
    small.initialise()
    small.save(tmp_path / "small")
    with pytest.raises(KeyError, match=r"has no parameter 'b1', 'w2', 'b2'; it has w1"):
        TwoLayers().load(tmp_path / "small")
    shapes = {"w1": (6, 5), "b1": (5,), "w2": (5, 3), "b2": (4,)}
    numpy.savez(tmp_path / "shape.npz", **{f"param_{name}": numpy.zeros(shape) for name, shape in shapes.items()})
    model = made()
    before = dict(model.params)
    with pytest.raises(ValueError, match=r"\[load\] parameter 'b2' has shape \(4,\) in the file; the model's has \(3,\)"):
        model.load(tmp_path / "shape")
    assert all(model.params[name] is value for name, value in before.items())
    (tmp_path / "text.params").write_text("no parameters")
    with pytest.raises(ValueError, match=r"is not one of MinPy's files \(HDF5\): it begins with b'no param'"):
        TwoLayers().load(tmp_path / "text")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    model = made()
    model.save(tmp_path / "net")
    before = (tmp_path / "net.npz").read_bytes()
    model.params["w1"] = Unreadable()
    with pytest.raises(OSError, match="gone"):
        model.save(tmp_path / "net")
    assert (tmp_path / "net.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


class Unreadable:
    """A parameter whose value cannot be had."""

    def __array__(self, *args: Any, **kwargs: Any) -> numpy.ndarray:
        raise OSError("gone")


def test_minpys_own_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.params", "w") as file:
        for name, config in TwoLayers().param_configs.items():
            file.create_dataset(f"param_{name}", data=numpy.full(config["shape"], 0.25))
        file.create_dataset("aux_param_mean", data=numpy.arange(2.0))
    model = TwoLayers().add_aux_param("mean", None)
    model.load(tmp_path / "old")
    assert {p.dtype.name for p in model.params.values()} == {"float32"}
    assert set(model.params["w1"].ravel().tolist()) == {0.25}
    assert model.aux_params["mean"].tolist() == [0.0, 1.0]


def test_minpys_own_files_need_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.params").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"in HDF5; to read it: pip install h5py"):
        TwoLayers().load(tmp_path / "old")
