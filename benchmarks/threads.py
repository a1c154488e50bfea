"""Functions in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable


def run_threads(*functions: Callable[[], object]) -> None:
    """Run each in a thread of its own, all at once; the first error of theirs is raised here, when all have ended."""
    errors: list[BaseException] = []

    def work(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
