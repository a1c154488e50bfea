"""The course of examples/course: solutions run, students are told what to write, and the checks tell right from wrong."""

from __future__ import annotations

import json
import re
import runpy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "course"
MAKE = runpy.run_path(str(FOLDER / "make_student.py"))
NAMES = sorted(path.stem.removesuffix("_solution") for path in FOLDER.glob("*_solution.ipynb"))

# by notebook and task: what stands in the solution, what a mistaken student has instead, and what the check then says
WRONG: dict[str, dict[int, list[tuple[str, str, str]]]] = {
    "01_knn": {
        1: [
            (
                "np.sqrt(np.sum((train - row) ** 2, axis=1))",
                "np.sum((train - row) ** 2, axis=1)",
                r"it is \[\[0, 10, 3\], \[5, 5, 4\]\]",
            )
        ],
        2: [
            ("np.maximum(squares, 0)", "squares", "rounded to below 0"),
            ("- 2 * test @", "- test @", "the loop finds"),
        ],
        3: [
            ("[:, :k]", "[:, :1]", "where k = 2"),
            ("np.argmax", "np.argmin", "where k = 1"),
        ],
        4: [("reached > best", "reached >= best", "is the first that reaches")],
    },
    "02_svm": {
        1: [
            ("j != y[i] and ", "", "was the sample's own class"),
            ("reg * np.sum(w**2)", "0", r"with λ = 0\.1"),
        ],
        2: [("- n) / n", ") / n", "the loops find")],
        3: [
            (
                "positive[np.arange(n), y] = -np.sum(positive, axis=1)",
                "pass",
                "yours differs from grad's",
            )
        ],
        4: [
            ("losses.append(loss)", "pass", "a list of three losses"),
            ("w - rate", "w + rate", "the loss should fall"),
        ],
    },
    "03_softmax": {
        1: [
            (" - np.max(scores, axis=1, keepdims=True)", "", "subtract the largest"),
            ("axis=1, keepdims=True)\n", "keepdims=True)\n", "sum to 1"),
        ],
        2: [
            ("-np.mean(", "-np.sum(", r"the loss is log\(10\)"),
            ("- np.max(scores, axis=1, keepdims=True)", "", "has the loss 1000"),
        ],
        3: [
            (
                "by_scores[np.arange(len(x)), y] -= 1",
                "pass",
                "yours differs from grad's",
            )
        ],
        4: [("for rate in rates:", "for rate in rates[:1]:", "more than 93 %")],
    },
    "04_two_layer_net": {
        1: [
            (
                'np.maximum(x @ p["w1"] + p["b1"], 0)',
                'x @ p["w1"] + p["b1"]',
                "the hidden layer of the tiny network",
            )
        ],
        2: [
            (
                'np.sum(p["w1"] ** 2)',
                'np.sum(p["w1"] ** 2) + np.sum(p["b1"] ** 2)',
                "not of the biases",
            )
        ],
        3: [
            (
                'np.where(hidden > 0, by_scores @ p["w2"].T, 0.0)',
                'by_scores @ p["w2"].T',
                "by b1 differs",
            ),
            ("by_scores /= len(x)", "pass", "by b2 differs"),
        ],
        4: [
            ("momentum * velocity[name] - rate", "-rate", r"the second step adds 0\.9"),
            ("- rate", "+ rate", "downhill"),
        ],
    },
    "05_batchnorm_dropout": {
        1: [
            ("np.var(x, axis=0)", "np.var(x, axis=0, ddof=1)", "running variance"),
            (
                'mean, var = running["mean"], running["var"]',
                "mean, var = np.mean(x, axis=0), np.var(x, axis=0)",
                "in test the running",
            ),
        ],
        2: [("- np.mean(scaled, axis=0) ", "", "by x differs")],
        3: [
            ("x / (1 - probability)", "x", r"divided by 0\.75"),
            ('mode == "test"', "False", "in test nothing is dropped"),
        ],
        4: [
            ("drop, mode)", 'drop, "train")', "in test dropout does nothing"),
            ("if normalised else", "if False else", "follow the batch"),
        ],
    },
    "06_conv_net": {
        1: [
            ("y = b[:, None, None]", "y = 0.0", r"it is \[\[8\.5"),
            ("pad, pad), (pad, pad)", "0, 0), (0, 0)", "with pad = 1 the shape"),
        ],
        2: [("np.max(", "np.mean(", "layers.pooling finds")],
        3: [
            ("0.25, mode", '0.25, "test"', "should drop something"),
            ("layers.relu(layers.convolution(h", "(layers.convolution(h", "differ by"),
        ],
    },
    "07_rnn": {
        1: [(" + h @ wh", "", "layers.rnn_step finds")],
        2: [(" ** 2", "", "by x differs"), ("h.T @", "x.T @", "by wh has the shape")],
        3: [("x[:, t]", "x[:, 0]", "layers.rnn_temporal differs")],
        4: [("codes[:, 1:]", "codes[:, :-1]", "who is sure")],
        5: [("np.argmax", "np.argmin", "the most probable character is")],
    },
    "08_lstm": {
        1: [
            (
                "i, f, o, g =",
                "f, i, o, g =",
                "layers.lstm_step finds for the next state",
            )
        ],
        2: [("inputs[1:]", "inputs", "a state that is halved")],
        3: [(" / (1 - beta1**t)", "", "at update 1 optim.adam goes to")],
        4: [
            ("codes[:, 1:]", "codes[:, :-1]", "step by step"),
            ("-np.mean(", "-np.sum(", "step by step"),
        ],
        5: [("scores / temperature", "scores", r"at temperature 0\.5")],
    },
}


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def tasks(notebook: Any) -> dict[int, int]:
    """By number of a task the place of the cell that it is written in; the next cell is its check."""
    places = [place for place, cell in enumerate(notebook.cells) if "# BEGIN SOLUTION: " in cell.source]
    return dict(enumerate(places, 1))


def to_do(source: str) -> str:
    return re.search(r"# BEGIN SOLUTION: (.*)", source)[1]


class Kernel:
    """A Jupyter kernel, as a notebook's in Jupyter, that is given one cell after the other."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client

    def _execute(self, source: str, **metadata: Any) -> Any:
        cell = nbformat.v4.new_code_cell(source, metadata=metadata)
        self.client.execute_cell(cell, 0)
        # a kernel that is still at an error refuses what it is given, and nothing else says so
        assert cell.execution_count is not None, f"the kernel did not run\n{source}"
        return cell

    def run(self, source: str) -> int:
        """The cell's number; an error in it is raised."""
        return self._execute(source).execution_count

    def error(self, source: str) -> tuple[str, str]:
        """Name and text of the error that a cell ends with."""
        cell = self._execute(source, tags=["raises-exception"])
        errors = [(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]
        assert len(errors) == 1, f"this should have failed:\n{source}\n{cell.outputs}"
        return errors[0]


@pytest.fixture(scope="module")
def started_kernel() -> Iterator[Kernel]:
    # a short path, as names of sockets must be: two kernels cannot take each other's sockets, as they could take ports
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # this Python's own kernel, this checkout, and nothing of the user's settings
        for variable in (
            "IPYTHONDIR",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
        ):
            patch.setenv(variable, folder)
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("MPLBACKEND", raising=False)  # figures as Jupyter draws them
        client = NotebookClient(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()]),
            kernel_name="python3",
            timeout=None,
            startup_timeout=600,
            resources={"metadata": {"path": str(FOLDER)}},
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/socket"}),
        )
        with client.setup_kernel():
            yield Kernel(client)


@pytest.fixture
def kernel(started_kernel: Kernel) -> Kernel:
    """A kernel without names. (To start one and import everything takes longer than most notebooks.)"""
    started_kernel.run("%reset -f")
    return started_kernel


def test_every_task_has_a_wrong_answer() -> None:
    assert len(NAMES) == 8
    assert {name: list(tasks(read(f"{name}_solution"))) for name in NAMES} == {name: list(WRONG[name]) for name in WRONG}


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_is_made_from_the_solution(name: str) -> None:
    paths = {end: FOLDER / f"{name}{end}.ipynb" for end in ("", "_solution")}
    solution = json.loads(paths["_solution"].read_text())
    again = "run: python examples/course/make_student.py"
    assert paths["_solution"].read_text() == MAKE["text"](MAKE["tidy"](solution)), again
    assert paths[""].read_text() == MAKE["text"](MAKE["student"](solution)), again


@pytest.mark.parametrize("name", [name + end for name in NAMES for end in ("", "_solution")])
def test_a_notebook_is_in_order(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count is not None]
    # in the student's version nothing is left of the solutions
    assert any("SOLUTION" in cell.source for cell in code) == name.endswith("_solution")
    text = "".join(cell.source for cell in notebook.cells)
    assert not re.search(r"""["'(]/\w""", text), "an absolute path"
    assert f"]({name.removesuffix('_solution')}.ipynb)" in (FOLDER / "README.md").read_text()


def test_marks_that_do_not_pair() -> None:
    source = "def f(x):\n    # BEGIN SOLUTION: double x\n    return 2 * x\n    # END SOLUTION\n"
    assert MAKE["blanked"](source) == 'def f(x):\n    raise NotImplementedError("double x")\n'
    for broken in (
        source.replace("    # END", "# END"),
        source.replace("# END SOLUTION", ""),
        source.replace(": double x", ""),
        source.replace("# BEGIN SOLUTION: double x", ""),
    ):
        with pytest.raises(ValueError, match="BEGIN SOLUTION: what to write"):
            MAKE["blanked"](broken)


@pytest.mark.parametrize("name", NAMES)
def test_a_student_works_through(name: str, kernel: Kernel) -> None:
    student, solution = read(name), read(f"{name}_solution")
    places = tasks(solution)
    # a student who has written nothing yet gets as far as the first check
    for cell in student.cells[: places[1] + 1]:
        if cell.cell_type == "code":
            kernel.run(cell.source)
    assert kernel.error(student.cells[places[1] + 1].source) == (
        "NotImplementedError",
        to_do(solution.cells[places[1]].source),
    )
    # then come mistakes at each task, which its check finds, then the solution; in between all the other cells, in their order
    checks = {place + 1: number for number, place in places.items()}
    for place, cell in enumerate(solution.cells):
        if cell.cell_type != "code":
            continue
        if place in checks:
            number, written = checks[place], solution.cells[place - 1].source
            assert cell.source.startswith(f"# check of task {number}\n")
            kernel.run(student.cells[place - 1].source)
            assert kernel.error(cell.source) == ("NotImplementedError", to_do(written))
            for right, wrong, said in WRONG[name][number]:
                begin = re.search("# BEGIN SOLUTION: .*\n", written).end()
                assert right in written[begin:], f"{right!r} is not in the solution of task {number}"
                kernel.run(written[:begin] + written[begin:].replace(right, wrong, 1))
                kind, text = kernel.error(cell.source)
                assert kind == "AssertionError" and re.search(said, text), f"task {number} with {wrong!r} for {right!r}: {kind}: {text}"
            kernel.run(written)
        kernel.run(cell.source)


def test_a_cell_is_named_by_its_number(kernel: Kernel) -> None:
    lines = (
        "import minpy_jit",
        "import minpy_jit.numpy as np",
        "x = np.ones(3) * 2",
        "why, report = minpy_jit.why(x), minpy_jit.explain(lambda: x + 1)",
    )
    number = kernel.run("\n".join(lines))
    kernel.run(f'assert "made by multiply at Cell In[{number}]:3;" in why, why')
    kernel.run(f'assert "# Cell In[{number}]:4" in str(report), report')


def test_a_cell_that_fails_and_one_that_does_not(kernel: Kernel) -> None:
    for _ in range(20):
        assert kernel.error("1 / 0") == ("ZeroDivisionError", "division by zero")
        with pytest.raises(AssertionError, match="this should have failed"):
            kernel.error("1 / 1")
