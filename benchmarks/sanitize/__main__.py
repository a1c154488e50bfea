"""The region operator and the kernels under AddressSanitizer or ThreadSanitizer.

    python -m benchmarks.sanitize address             # accesses outside of buffers, and to memory that was given back
    python -m benchmarks.sanitize thread              # loops shared by 4 threads: accesses that nothing orders
    python -m benchmarks.sanitize thread --tests tests/test_regions.py -k cumsum     # some tests only; what follows goes to pytest

Builds the operator with the sanitizer, loads the sanitizer's runtime into Python, checks each access of compiled kernels (instrument.py),
and runs programs.py and the tests of regions, threads and processes. What the sanitizer reports is printed, and the exit status is 1. Needs
Linux on x86-64 and g++ with its sanitizers' libraries.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from ast import literal_eval
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TESTS = [
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_region*.py")),
    *(f"tests/test_{name}.py" for name in ("donation", "schedule", "wavefront", "caches", "threads", "processes")),
]
# of how much memory a workspace takes, where under AddressSanitizer no buffer takes another's place
OF_WORKSPACES = (
    "tests/test_regions_join.py::test_what_would_keep_much_memory_is_not_moved_ahead",
    "tests/test_schedule.py::test_sweeps_go_to_and_fro_between_two_places",
)
THREADS = 4
RUNTIMES = {"address": "libasan.so", "thread": "libtsan.so"}
OPTIONS = {
    "address": (
        # Python and MXNet free little at exit
        "detect_leaks=0",
        "halt_on_error=0",
        # as malloc does: tests ask for more than there is
        "allocator_may_return_null=1",
        # MXNet's storage and NumPy's arrays are freed by whoever holds them last
        "alloc_dealloc_mismatch=0",
        # frames that are kept of each malloc: 30 of them take most of the time
        "malloc_context_size=8",
    ),
    "thread": (
        "halt_on_error=0",
        # Python, NumPy, MXNet, OpenBLAS and libgomp were not built for it: how their threads wait for one another is not seen, and
        # memcpy in them would be reported; the calls in our kernels and in the operator are looked at whoever calls them
        "ignore_noninstrumented_modules=1",
        # tests fork while threads are there
        "die_after_fork=0",
        "history_size=4",
    ),
}


def missing(kind: str) -> str | None:
    """What is needed and not there, or None."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "sanitizers are run on Linux on x86-64 only"
    if shutil.which("g++") is None:
        return "there is no g++; install one (Debian: apt-get install g++)"
    if library(RUNTIMES[kind]) is None:
        return f"g++ has no {RUNTIMES[kind]}; install its sanitizers' libraries (Debian: libgcc-12-dev; Fedora: libasan, libtsan)"
    for name in ("mxnet", "llvmlite", "scipy_openblas32", "pytest"):
        if importlib.util.find_spec(name) is None:
            return f"there is no package {name}; install minpy_jit with its extra [test]"
    return None


def library(name: str) -> str | None:
    """Where g++ has it."""
    asked = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    found = asked.stdout.strip()
    return found if os.path.isabs(found) else None


def build(kind: str, folder: Path) -> None:
    """The operator and runtime.cc, in `folder`."""
    spec = importlib.util.find_spec("mxnet")
    assert spec is not None and spec.submodule_search_locations
    (mxnet,) = spec.submodule_search_locations
    shared = ["g++", "-std=c++17", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer"]
    sanitizer = [f"-fsanitize={kind}", *(["-fsanitize-recover=address"] if kind == "address" else [])]
    headers = [f"-I{mxnet}/include", f"-I{mxnet}/src"]
    source = ROOT / "minpy_jit/exec/native/region.cc"
    subprocess.run([*shared, *sanitizer, "-fopenmp", *headers, str(source), "-o", str(folder / "region.so")], check=True)
    subprocess.run([*shared, f"-D{kind.upper()}", str(HERE / "runtime.cc"), "-pthread", "-o", str(folder / "runtime.so")], check=True)
    # which Python imports at its start: processes that tests start are looked at, too
    (folder / "sitecustomize.py").write_text("import benchmarks.sanitize.plugin\n")


def environment(kind: str, folder: Path) -> dict[str, str]:
    """Of a process that the sanitizer watches."""
    # AddressSanitizer looks for what throws C++'s exceptions when it begins; Python itself does not load it
    preload = [library(RUNTIMES[kind]), library("libstdc++.so.6")]
    options = ":".join([*OPTIONS[kind], f"log_path={folder / 'report'}"])
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(filter(None, preload)),
        f"{kind[0].upper()}SAN_OPTIONS": options,
        "MINPY_JIT_SANITIZE": f"{kind}:{folder}",
        # code that was compiled without checks must not be found
        "MINPY_JIT_CACHE_DIR": "off",
        "OMP_NUM_THREADS": str(THREADS if kind == "thread" else 2),
        "OPENBLAS_NUM_THREADS": "1",
        # there may be fewer cores than threads
        "OMP_WAIT_POLICY": "passive",
        "NPY_PROMOTION_STATE": "weak",
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def reports_in(folder: Path) -> list[str]:
    """What the sanitizer wrote, one text per process."""
    return [path.read_text(errors="replace") for path in sorted(folder.glob("report.*"))]


def counts_in(folder: Path) -> Counter[str]:
    """What was compiled with checks, by all processes that ended in peace."""
    total: Counter[str] = Counter()
    path = folder / "counts"
    for line in path.read_text().splitlines() if path.exists() else ():
        total.update(literal_eval(line))
    return total


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sanitize", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=RUNTIMES)
    parser.add_argument("--tests", nargs="*", default=None, metavar="FILE", help="tests to run; none: only the programs")
    parser.add_argument("--no-programs", action="store_true", help="run tests only")
    parser.add_argument("--out", type=Path, help="folder of what is built and reported (default: a temporary one)")
    options, rest = parser.parse_known_args(arguments)
    why = missing(options.kind)
    if why is not None:
        print(f"not run: {why}")
        return 2
    folder = options.out or Path(tempfile.mkdtemp(prefix="minpy-jit-sanitize-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for old in [*folder.glob("report.*"), folder / "counts"]:
        old.unlink(missing_ok=True)
    build(options.kind, folder)
    watched = environment(options.kind, folder)
    subprocess.run([sys.executable, "-m", "benchmarks.sanitize.control"], cwd=ROOT, env=watched, check=False)
    if len(reports_in(folder)) != 1:
        print("a kernel that is known to be wrong was not reported: there is something wrong here, and nothing was checked")
        return 3
    for old in [*folder.glob("report.*"), folder / "counts"]:
        old.unlink(missing_ok=True)
    commands = []
    if not options.no_programs:
        commands.append([sys.executable, "-m", "benchmarks.sanitize.programs"])
    tests = TESTS if options.tests is None else options.tests
    if tests:
        commands.append([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(rest or ["-m", "not slow"]), *tests])
        if options.kind == "address":
            commands[-1] += [f"--deselect={name}" for name in OF_WORKSPACES]
    failed = 0
    for command in commands:
        print("$", " ".join(command), flush=True)
        # programs: each of Python's objects, the tables of addresses among them, has memory of its own (far too slow for the tests)
        own = {"PYTHONMALLOC": "malloc"} if "pytest" not in command else {}
        failed += subprocess.run(command, cwd=ROOT, env={**watched, **own}, check=False).returncode != 0
    reports = reports_in(folder)
    for text in reports:
        print(text)
    told = ", ".join(f"{n:,} {what}" for what, n in sorted(counts_in(folder).items()))
    print(f"{options.kind}: {told}; {len(reports)} processes with reports, {failed} of {len(commands)} commands failed; {folder}")
    return int(bool(reports) or failed > 0)


if __name__ == "__main__":
    sys.exit(main())
