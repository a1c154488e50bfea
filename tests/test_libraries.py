"""Other libraries take our arrays where they take NumPy's, and give what they give for those."""

from __future__ import annotations

import array
import copy
import copyreg
import csv
import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import matplotlib
import numpy
import pandas
import pytest
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
import scipy.spatial
import scipy.special
import scipy.stats
import sklearn.cluster
import sklearn.decomposition
import sklearn.ensemble
import sklearn.linear_model
import sklearn.metrics
import sklearn.model_selection
import sklearn.neighbors
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
from PIL import Image

import minpy_jit.numpy as np
from minpy_jit import grad
from minpy_jit.numpy.array import Array, Scalar, ValueHandle

matplotlib.use("Agg")
from matplotlib import pyplot

Case = Callable[..., Any]


def data() -> dict[str, numpy.ndarray]:
    rng = numpy.random.RandomState(5)
    a = rng.standard_normal((6, 6))
    return {
        "a": a,
        "p": a @ a.T + 6 * numpy.eye(6),
        "x": rng.standard_normal((40, 4)),
        "v": rng.standard_normal(40),
        "t": numpy.linspace(0.0, 3.0, 40),
        "label": (rng.standard_normal(40) > 0).astype(int),
        "image": rng.random((12, 10)),
    }


def plain(value: Any) -> Any:
    """Results as NumPy's, for the comparison."""
    if isinstance(value, ValueHandle):
        return value.asnumpy()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if scipy.sparse.issparse(value):
        return value.toarray()
    return value


def check_same(ours: Any, theirs: Any) -> None:
    ours, theirs = plain(ours), plain(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for o, t in zip(ours, theirs, strict=True):
            check_same(o, t)
    elif isinstance(theirs, (numpy.ndarray, numpy.generic, float, complex)):
        assert numpy.asarray(ours).dtype == numpy.asarray(theirs).dtype
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    else:
        assert ours == theirs


def pending(value: numpy.ndarray) -> Any:
    """An array of ours that nothing has computed yet."""
    return np.array(value) + 0 if value.dtype.kind == "f" else np.array(value)


# -- SciPy -------------------------------------------------------------------------------------------------------------------------------
def rosenbrock(np: Any) -> Case:
    return lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


SCIPY: dict[str, Case] = {
    "linalg.solve": lambda a, p, **_: scipy.linalg.solve(p, a[0]),
    "linalg.cholesky": lambda p, **_: scipy.linalg.cholesky(p, lower=True),
    "linalg.lu": lambda a, **_: scipy.linalg.lu(a),
    "linalg.expm": lambda a, **_: scipy.linalg.expm(a / 9),
    "linalg.eigh": lambda p, **_: scipy.linalg.eigh(p, eigvals_only=True),
    "linalg.svdvals": lambda a, **_: scipy.linalg.svdvals(a),
    "linalg.toeplitz": lambda v, **_: scipy.linalg.toeplitz(v[:5], v[5:9]),
    "linalg.block_diag": lambda a, p, **_: scipy.linalg.block_diag(a, p),
    "sparse.csr": lambda p, v, **_: scipy.sparse.csr_array(p) @ v[:6],
    "sparse.coo": lambda v, **_: scipy.sparse.coo_array((v[:3], ([0, 1, 2], [2, 1, 0])), shape=(3, 3)),
    "sparse.spsolve": lambda p, a, **_: scipy.sparse.linalg.spsolve(scipy.sparse.csc_array(p), a[0]),
    "sparse.cg": lambda p, a, **_: scipy.sparse.linalg.cg(scipy.sparse.csr_array(p), a[0], rtol=1e-12)[0],
    "sparse.diags": lambda v, **_: scipy.sparse.diags_array(v[:5]),
    "signal.convolve": lambda v, t, **_: scipy.signal.convolve(v, t[:5], mode="same"),
    "signal.lfilter": lambda v, **_: scipy.signal.lfilter([0.2, 0.3], [1.0, -0.4], v),
    "signal.find_peaks": lambda v, **_: scipy.signal.find_peaks(v)[0],
    "signal.welch": lambda v, **_: scipy.signal.welch(v, nperseg=16),
    "signal.convolve2d": lambda image, a, **_: scipy.signal.convolve2d(image, a[:3, :3]),
    "signal.butter": lambda v, **_: scipy.signal.filtfilt(*scipy.signal.butter(2, 0.3), v),
    "stats.describe": lambda v, **_: list(scipy.stats.describe(v))[2:],
    "stats.ttest": lambda v, t, **_: list(scipy.stats.ttest_ind(v, t)),
    "stats.pearsonr": lambda v, t, **_: list(scipy.stats.pearsonr(v, t)),
    "stats.norm": lambda v, **_: [scipy.stats.norm.pdf(v), scipy.stats.norm(v[0], 2.0).cdf(v), scipy.stats.norm.fit(v)],
    "stats.kde": lambda v, t, **_: scipy.stats.gaussian_kde(v)(t),
    "stats.rankdata": lambda v, **_: scipy.stats.rankdata(v),
    "stats.zscore": lambda x, **_: scipy.stats.zscore(x, axis=0),
    "stats.mode": lambda label, **_: list(scipy.stats.mode(label)),
    "interpolate.interp1d": lambda v, t, **_: scipy.interpolate.interp1d(t, v)(t[:-1] + 0.01),
    "interpolate.spline": lambda v, t, **_: scipy.interpolate.CubicSpline(t, v)(t + 0.01),
    "interpolate.griddata": lambda x, v, **_: scipy.interpolate.griddata(x[:, :2], v, x[:3, :2] * 0.1, method="nearest"),
    "integrate.trapezoid": lambda v, t, **_: scipy.integrate.trapezoid(v, t),
    "integrate.simpson": lambda v, t, **_: scipy.integrate.simpson(v, x=t),
    "integrate.quad": lambda v, **_: scipy.integrate.quad(lambda s: s * v[0], 0, 1)[0],
    "integrate.solve_ivp": lambda a, **_: scipy.integrate.solve_ivp(lambda t, y: a @ y / 9, (0, 1), a[0], rtol=1e-8).y,
    "fft.fft": lambda v, **_: scipy.fft.fft(v),
    "fft.dct": lambda v, **_: scipy.fft.dct(v),
    "fft.rfft2": lambda image, **_: scipy.fft.irfft2(scipy.fft.rfft2(image)),
    "ndimage.gaussian": lambda image, **_: scipy.ndimage.gaussian_filter(image, 1.0),
    "ndimage.label": lambda image, **_: scipy.ndimage.label(image > 0.5)[0],
    "ndimage.rotate": lambda image, **_: scipy.ndimage.rotate(image, 30.0, reshape=False),
    "ndimage.sum": lambda image, **_: scipy.ndimage.sum_labels(image, image > 0.5),
    "special.logsumexp": lambda x, **_: scipy.special.logsumexp(x, axis=1),
    "special.gamma": lambda t, **_: scipy.special.gamma(t + 1),
    "special.erf": lambda v, **_: scipy.special.erf(v),
    "spatial.cdist": lambda x, **_: scipy.spatial.distance.cdist(x, x[:3]),
    "spatial.kdtree": lambda x, **_: scipy.spatial.cKDTree(x).query(x[:3], 2),
    "optimize.linprog": lambda a, **_: scipy.optimize.linprog(numpy.ones(6), A_ub=-abs(a), b_ub=-numpy.ones(6)).fun,
    "optimize.nnls": lambda p, a, **_: scipy.optimize.nnls(p, abs(a[0]))[0],
    "optimize.curve_fit": lambda t, v, **_: scipy.optimize.curve_fit(lambda t, m, b: m * t + b, t, v)[0],
    "optimize.linear_sum_assignment": lambda a, **_: list(scipy.optimize.linear_sum_assignment(a)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_scipy(name: str) -> None:
    theirs = SCIPY[name](**data())
    check_same(SCIPY[name](**{k: np.array(v) for k, v in data().items()}), theirs)
    check_same(SCIPY[name](**{k: pending(v) for k, v in data().items()}), theirs)


def test_scipy_minimises_a_function_of_ours() -> None:
    start = [1.3, 0.7, 0.8, 1.9]
    theirs = scipy.optimize.minimize(rosenbrock(numpy), numpy.array(start), method="Nelder-Mead", options={"xatol": 1e-8})
    ours = scipy.optimize.minimize(lambda x: rosenbrock(np)(np.array(x)), np.array(start), method="Nelder-Mead", options={"xatol": 1e-8})
    numpy.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6)
    slope = grad(rosenbrock(np))
    found = scipy.optimize.minimize(lambda x: rosenbrock(np)(np.array(x)), start, jac=lambda x: slope(np.array(x)), method="BFGS")
    numpy.testing.assert_allclose(found.x, 1.0, atol=1e-4)
    root = scipy.optimize.root(lambda x: np.array(x) ** 2 - np.array([4.0, 9.0]), np.array([1.0, 1.0]))
    numpy.testing.assert_allclose(root.x, [2.0, 3.0])
    assert scipy.optimize.brentq(lambda s: np.cos(s) - s, 0, 1) == pytest.approx(0.7390851332151607)
    fit = scipy.optimize.least_squares(lambda b: np.array(data()["t"]) * b[0] - 2.0 * data()["t"], np.array([0.5]))
    numpy.testing.assert_allclose(fit.x, [2.0])


# what asks for `numpy.ndarray` itself, and raises on anything else: `numpy.asarray(x)` is what these take
REFUSING: dict[str, tuple[type[Exception], Case]] = {
    "a matrix where an operator may stand": (TypeError, lambda p, a, **_: scipy.sparse.linalg.cg(p, a[0], rtol=1e-12)[0]),
    "a mask where a label may stand": (KeyError, lambda v, t, **_: pandas.Series(t)[v > 0].to_numpy()),
}


@pytest.mark.parametrize("name", REFUSING)
def test_what_takes_only_numpys_own_class_says_so(name: str) -> None:
    error, function = REFUSING[name]
    ours = {k: np.array(v) for k, v in data().items()}
    with pytest.raises(error):
        function(**ours)
    if name != "a mask where a label may stand":
        check_same(function(**{k: numpy.asarray(v) for k, v in ours.items()}), function(**data()))
    else:
        check_same(pandas.Series(data()["t"])[numpy.asarray(ours["v"] > 0)].to_numpy(), function(**data()))


# -- matplotlib --------------------------------------------------------------------------------------------------------------------------
DRAWINGS: dict[str, Case] = {
    "plot": lambda ax, v, t, **_: ax.plot(t, v, "o-", label="v"),
    "plot one": lambda ax, v, **_: ax.plot(v),
    "scatter": lambda ax, x, v, **_: ax.scatter(x[:, 0], x[:, 1], c=v, s=abs(v) * 20),
    "imshow": lambda ax, image, **_: ax.imshow(image, vmin=image.min(), vmax=image.max()),
    "hist": lambda ax, v, **_: ax.hist(v, bins=5),
    "hist of columns": lambda ax, x, **_: ax.hist(x, bins=5),
    "bar": lambda ax, v, **_: ax.bar(range(5), v[:5], yerr=abs(v[5:10])),
    "errorbar": lambda ax, v, t, **_: ax.errorbar(t, v, yerr=abs(v)),
    "fill_between": lambda ax, v, t, **_: ax.fill_between(t, v - 1, v + 1, where=v > 0),
    "contour": lambda ax, image, **_: ax.contourf(image, levels=4),
    "pcolormesh": lambda ax, image, **_: ax.pcolormesh(image),
    "quiver": lambda ax, x, **_: ax.quiver(x[:, 0], x[:, 1], x[:, 2], x[:, 3]),
    "boxplot": lambda ax, x, **_: ax.boxplot(x),
    "limits": lambda ax, v, **_: (ax.axhline(v.mean()), ax.set_xlim(v.min(), v.max()), ax.text(v[0], 0, f"{v[0]:.2f}")),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_matplotlib_draws_the_same_picture(name: str) -> None:
    def drawn(values: dict[str, Any]) -> bytes:
        figure, axes = pyplot.subplots(figsize=(2, 2), dpi=50)
        try:
            DRAWINGS[name](axes, **values)
            written = io.BytesIO()
            figure.savefig(written, format="raw")
        finally:
            pyplot.close(figure)
        return written.getvalue()

    theirs = drawn(data())
    assert len(set(theirs)) > 1
    assert drawn({k: np.array(v) for k, v in data().items()}) == theirs


def test_matplotlib_saves_files(tmp_path: Path) -> None:
    image = np.array(data()["image"])
    pyplot.imsave(tmp_path / "image.png", image)
    assert pyplot.imread(tmp_path / "image.png").shape == (12, 10, 4)


# -- pandas ------------------------------------------------------------------------------------------------------------------------------
PANDAS: dict[str, Case] = {
    "frame": lambda x, **_: pandas.DataFrame(x, columns=list("abcd")).describe().to_numpy(),
    "columns": lambda v, label, **_: pandas.DataFrame({"v": v, "label": label}).groupby("label").v.mean().to_numpy(),
    "series": lambda v, **_: pandas.Series(v).rolling(3).mean().to_numpy()[2:],
    "arithmetic": lambda v, t, **_: (pandas.Series(t) * v + v).to_numpy(),
    "reflected": lambda v, t, **_: numpy.asarray(v * pandas.Series(t)),
    "take": lambda v, label, **_: pandas.Series(v).iloc[label].to_numpy(),
    "assign": lambda x, v, **_: pandas.DataFrame(x).assign(new=v).to_numpy(),
    "isin": lambda label, **_: pandas.Series(label).isin(label[:1]).to_numpy(),
    "cut": lambda v, **_: pandas.cut(v, 3, labels=False),
    "index": lambda t, v, **_: pandas.Series(v, index=t).loc[t[3] : t[7]].to_numpy(),
    "unique": lambda label, **_: pandas.unique(pandas.Series(label)),
    "dtypes": lambda label, **_: str(pandas.Series(label).dtype),
    "to_datetime": lambda label, **_: pandas.to_datetime(pandas.Series(label), unit="D").dt.day.to_numpy().astype(int),
    "csv": lambda x, **_: pandas.DataFrame(x[:3]).to_csv(),
}


@pytest.mark.parametrize("name", PANDAS)
def test_pandas(name: str) -> None:
    theirs = PANDAS[name](**data())
    check_same(PANDAS[name](**{k: np.array(v) for k, v in data().items()}), theirs)


def test_arrays_of_ours_from_pandas() -> None:
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    for made in (np.array(frame), np.asarray(frame.to_numpy()), np.array(frame.values)):
        assert type(made) is Array
        numpy.testing.assert_array_equal(made.asnumpy(), [[1, 3], [2, 4]])
    assert type(np.array(frame["a"])) is Array and float(np.sum(np.array(frame["a"]))) == 3
    assert np.array(pandas.Series([1, 2], dtype="int8")).dtype == numpy.int8


# -- scikit-learn ------------------------------------------------------------------------------------------------------------------------
ESTIMATORS: dict[str, Case] = {
    "linear": lambda: sklearn.linear_model.LinearRegression(),
    "ridge": lambda: sklearn.linear_model.Ridge(alpha=0.5),
    "logistic": lambda: sklearn.linear_model.LogisticRegression(),
    "svc": lambda: sklearn.svm.SVC(),
    "tree": lambda: sklearn.ensemble.RandomForestClassifier(5, random_state=0),
    "neighbours": lambda: sklearn.neighbors.KNeighborsClassifier(3),
    "pipeline": lambda: sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(), sklearn.decomposition.PCA(2), sklearn.linear_model.LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_fit_and_predict(name: str) -> None:
    given = data()
    theirs = ESTIMATORS[name]().fit(given["x"], given["label"])
    ours = ESTIMATORS[name]().fit(np.array(given["x"]), np.array(given["label"]))
    check_same(ours.predict(np.array(given["x"])), theirs.predict(given["x"]))
    assert ours.score(np.array(given["x"]), np.array(given["label"])) == theirs.score(given["x"], given["label"])


TRANSFORMS: dict[str, Case] = {
    "scale": lambda x, **_: sklearn.preprocessing.StandardScaler().fit_transform(x),
    "pca": lambda x, **_: sklearn.decomposition.PCA(2).fit_transform(x),
    "kmeans": lambda x, **_: sklearn.cluster.KMeans(2, n_init=1, random_state=0).fit_predict(x),
    "split": lambda x, label, **_: sklearn.model_selection.train_test_split(x, label, random_state=0),
    "cross": lambda x, label, **_: sklearn.model_selection.cross_val_score(sklearn.svm.SVC(), x, label, cv=3),
    "grid": lambda x, label, **_: (
        sklearn.model_selection.GridSearchCV(sklearn.svm.SVC(), {"C": [0.5, 2.0]}, cv=3).fit(x, label).cv_results_["mean_test_score"]
    ),
    "accuracy": lambda label, **_: sklearn.metrics.accuracy_score(label, label[::-1]),
    "confusion": lambda label, **_: sklearn.metrics.confusion_matrix(label, label[::-1]),
    "auc": lambda label, v, **_: sklearn.metrics.roc_auc_score(label, v),
    "mse": lambda v, t, **_: sklearn.metrics.mean_squared_error(v, t),
    "r2": lambda v, t, **_: sklearn.metrics.r2_score(v, t),
    "onehot": lambda label, **_: sklearn.preprocessing.OneHotEncoder().fit_transform(label[:, None]).toarray(),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_scikit_learn(name: str) -> None:
    theirs = TRANSFORMS[name](**data())
    check_same(TRANSFORMS[name](**{k: np.array(v) for k, v in data().items()}), theirs)


# -- joblib ------------------------------------------------------------------------------------------------------------------------------
def doubled(x: Any) -> Any:
    return x * 2


def test_joblib_dumps_and_hashes(tmp_path: Path) -> None:
    x = np.array(data()["a"])
    for compress in (0, 3):
        joblib.dump({"x": x, "part": x[1:, ::2], "one": x.sum()}, tmp_path / "kept", compress=compress)
        kept = joblib.load(tmp_path / "kept")
        assert type(kept["x"]) is Array and type(kept["one"]) is Scalar
        check_same(kept["part"], x[1:, ::2].asnumpy())
    assert joblib.hash(x) == joblib.hash(np.array(data()["a"])) != joblib.hash(x + 1)
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return x + 1

    cached = memory.cache(counted)
    check_same(cached(x), data()["a"] + 1)
    check_same(cached(x), data()["a"] + 1)
    assert len(calls) == 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_runs_in_parallel(backend: str) -> None:
    x = np.array(data()["a"])
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(doubled)(row + 0) for row in x)
    assert all(type(row) is Array for row in found)
    check_same(found, list(data()["a"] * 2))


# -- the standard library ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    x = pending(data()["a"])
    again = pickle.loads(pickle.dumps({"x": x, "t": x.T, "one": x[0, 0]}, protocol))
    assert type(again["x"]) is Array and type(again["one"]) is Scalar and again["t"].strides == x.T.strides
    check_same(again["x"], data()["a"])
    again["x"][0] = 0
    assert x[0, 1] == data()["a"][0, 1]


def test_copies() -> None:
    x = pending(data()["a"])
    for made in (copy.copy(x), copy.deepcopy(x), copy.deepcopy({"x": [x]})["x"][0]):
        assert type(made) is Array and made is not x
        made[0] = 0
        check_same(x, data()["a"])
    twice = copy.deepcopy([x, x])
    assert twice[0] is twice[1]
    assert type(copy.copy(x.sum())) is Scalar


def test_copyreg() -> None:
    class Owner:
        def __init__(self, x: Any) -> None:
            self.x = x

    pickler = pickle.Pickler(written := io.BytesIO())
    pickler.dispatch_table = {**copyreg.dispatch_table, Array: lambda x: (numpy.array, (x.tolist(),))}
    pickler.dump(np.array([1.0, 2.0]))
    assert type(pickle.loads(written.getvalue())) is numpy.ndarray
    assert copy.deepcopy(Owner(np.ones(2))).x.tolist() == [1, 1]


def test_json() -> None:
    x = np.arange(3) * 0.5
    assert json.loads(json.dumps({"list": x.tolist(), "one": float(x[1]), "item": x.sum().item()})) == {
        "list": [0.0, 0.5, 1.0],
        "one": 0.5,
        "item": 1.5,
    }
    assert json.dumps(x, default=lambda a: a.tolist()) == "[0.0, 0.5, 1.0]"
    # float64 is a float to NumPy; other arrays are refused, as NumPy's are
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(x)


def test_csv() -> None:
    x = np.array([[1.5, 2.0], [3.0, 4.25]])
    written = io.StringIO()
    csv.writer(written).writerows(x)
    assert [[float(cell) for cell in row] for row in csv.reader(io.StringIO(written.getvalue()))] == [[1.5, 2.0], [3.0, 4.25]]
    expected = io.StringIO()
    csv.writer(expected).writerows(x.asnumpy())
    assert written.getvalue() == expected.getvalue()


def test_array_module() -> None:
    assert array.array("d", np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
    assert array.array("i", np.arange(3)).tolist() == [0, 1, 2]
    assert array.array("d", np.arange(2.0).tobytes()).tolist() == [0.0, 1.0]
    check_same(np.array(array.array("d", [1.5, 2.5])), numpy.array([1.5, 2.5]))
    check_same(np.frombuffer(array.array("f", [1, 2]), np.float32) + 1, numpy.array([2, 3], numpy.float32))


def test_struct() -> None:
    x = np.array([1.5, 2.5])
    assert struct.pack("2d", *x) == x.tobytes() == struct.pack("2d", 1.5, 2.5)
    assert struct.pack("q", np.arange(5).sum()) == struct.pack("q", 10)
    assert struct.unpack("2d", x.data) == (1.5, 2.5)


def test_memoryview() -> None:
    x = np.arange(6.0).reshape(2, 3)
    view = x.data
    assert view.shape == (2, 3) and view.format == "d" and view.readonly and view.tolist() == x.tolist()
    assert bytes(x.data) == x.tobytes()
    assert bytes(x.T.data) == x.asnumpy().T.tobytes()
    check_same(np.asarray(memoryview(b"abc")), numpy.asarray(memoryview(b"abc")))
    written = io.BytesIO()
    written.write(x.data)
    assert written.getvalue() == x.tobytes()


def test_pil() -> None:
    pixels = (np.array(data()["image"]) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    assert picture.size == (10, 12)
    check_same(np.array(picture), pixels.asnumpy())
    check_same(np.asarray(picture.convert("RGB")), numpy.asarray(Image.fromarray(pixels.asnumpy()).convert("RGB")))
    small = numpy.asarray(Image.fromarray(pixels.asnumpy()).resize((5, 6)))
    check_same(np.array(picture.resize((5, 6))), small)


# -- numpy.testing -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("testing", [numpy.testing, np.testing], ids=["numpy's", "ours"])
def test_numpy_testing(testing: Any) -> None:
    x, y = pending(data()["a"]), data()["a"]
    testing.assert_array_equal(x, y)
    testing.assert_array_equal(y, x)
    testing.assert_allclose(x + 1e-12, y)
    testing.assert_array_almost_equal(x, y + 1e-9)
    testing.assert_almost_equal(x.sum(), y.sum())
    testing.assert_equal({"a": [x, x.max()]}, {"a": [y, y.max()]})
    testing.assert_array_less(x, y + 1)
    testing.assert_array_almost_equal_nulp(x, y)
    testing.assert_array_max_ulp(x, y)
    testing.assert_approx_equal(x.sum(), y.sum())
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        testing.assert_allclose(x, y + 1)
    with pytest.raises(AssertionError, match="not equal"):
        testing.assert_array_equal(x, y + 1)
    with pytest.raises(AssertionError):
        testing.assert_array_less(x, y)
    with pytest.raises(AssertionError, match="mismatch"):
        testing.assert_array_equal(x, y[:2])
    with testing.assert_raises(ValueError):
        x + np.ones(5)
