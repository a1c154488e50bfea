"""Makes the students' notebooks from the solutions, and tidies the solutions: run it after each change to one of these.

    python examples/course/make_student.py

`NAME_solution.ipynb` is the source. In it, two comments in the body of a function mark what students are to write:

    # BEGIN SOLUTION: write the loss
    return np.mean((x @ w - y) ** 2)
    # END SOLUTION

In `NAME.ipynb` all of it is `raise NotImplementedError("write the loss")`. Neither holds outputs, nor what Jupyter adds to a notebook.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]

FOLDER = Path(__file__).resolve().parent
SUFFIX = "_solution"
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION: ([^\n]+)\n.*?^\1# END SOLUTION$", re.M | re.S)


def tidy(notebook: Notebook) -> Notebook:
    """A notebook with neither outputs nor counts of executions, and no metadata but that it is Python's."""
    cells = []
    for cell in notebook["cells"]:
        kept = {"cell_type": cell["cell_type"], "id": cell["id"], "metadata": {}, "source": cell["source"]}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        cells.append(dict(sorted(kept.items())))
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def blanked(source: str) -> str:
    """The source of a cell with its marked stretches left for the student to write.

    Raises:
        ValueError: a mark without its other half, or without a text.
    """
    blank = SOLUTION.sub(lambda found: f"{found[1]}raise NotImplementedError({json.dumps(found[2], ensure_ascii=False)})", source)
    if "BEGIN SOLUTION" in blank or "END SOLUTION" in blank:
        raise ValueError(f"each '# BEGIN SOLUTION: what to write' needs an '# END SOLUTION' below it, as far indented; got\n{source}")
    return blank


def student(solution: Notebook) -> Notebook:
    """The student's version of a solution."""
    cells = [{**cell, "source": blanked("".join(cell["source"])).splitlines(keepends=True)} for cell in solution["cells"]]
    return tidy({**solution, "cells": cells})


def text(notebook: Notebook) -> str:
    """A notebook as it is written to a file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    for path in sorted(FOLDER.glob(f"*{SUFFIX}.ipynb")):
        solution = tidy(json.loads(path.read_text()))
        path.write_text(text(solution))
        path.with_name(path.name.replace(SUFFIX, "")).write_text(text(student(solution)))


if __name__ == "__main__":
    main()
