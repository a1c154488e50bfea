"""Random programs against NumPy in every mode, and random gradients against central differences, by the thousand: how many differ, and how
many programs a second. What differs is shrunk, and written as a script that shows it.

    python -m benchmarks.fuzz --programs 200000 --jobs 2 --seed 0 --out fuzz-failures

A program is known by seed and number, so `--only N` runs one again. Each process takes a share of the numbers; one that dies (a crash of
MXNet's, say) is reported with the program that it ran, and its successor goes on behind it. A campaign that is interrupted goes on where
it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

# the share of programs that are written so that `pure=True` may run them
PURE_SHARE = 0.15
LONGEST = 12
# one program in so many is a function whose gradient is compared with differences
GRADIENT_EVERY = 100
LONGEST_GRADIENT = 8
# a process that does not get on for so many seconds is ended, and its program reported
HANGING = 300
COUNTS = ("flushes", "reference_runs", "executor_runs", "mxnet_nodes", "compiles")


def is_gradient(number: int) -> bool:
    """Whether the program of that number is a function to be differentiated."""
    return number % GRADIENT_EVERY == GRADIENT_EVERY - 1


def program(seed: int, number: int) -> Any:
    """The program of that number."""
    import fuzz_gradients
    import fuzz_writer

    source = random.Random(f"{seed}/{number}")
    # four times as quick as randrange
    draw = source.random
    if is_gradient(number):
        return fuzz_gradients.Writer(lambda n: int(draw() * n), 1 + int(draw() * LONGEST_GRADIENT)).program
    return fuzz_writer.Writer(lambda n: int(draw() * n), 1 + int(draw() * LONGEST), pure=draw() < PURE_SHARE).program


def check_one(seed: int, number: int, out: Path | None) -> str | None:
    """Check one program; what differs, or None. A failing one is shrunk and written to `out`."""
    import fuzz_driver
    import fuzz_gradients

    driver: Any = fuzz_gradients if is_gradient(number) else fuzz_driver
    made = program(seed, number)
    found: str | None = driver.check(made)
    if found is None or out is None:
        return found
    smaller = driver.shrink(made)
    again = driver.check(smaller)
    if again is None:
        # it needs what ran before it in this process
        smaller = made
    out.mkdir(parents=True, exist_ok=True)
    header = "".join(f"# {line}\n" for line in f"seed {seed}, program {number}\n{again or found + ' (not again)'}".splitlines())
    (out / f"{seed}-{number}.py").write_text(header + smaller.script())
    return again or found


def worker(arguments: list[str]) -> int:
    """The process of one share: writes its state after each program."""
    import warnings

    import fuzz_driver

    import minpy_jit

    # ever new programs are what it is for
    warnings.simplefilter("ignore", minpy_jit.errors.RecordingWarning)
    seed, start, stop, step = map(int, arguments[:4])
    out, state = Path(arguments[4]), Path(arguments[5])
    with state.open("r+b", buffering=0) as file:
        for number in range(start, stop, step):
            file.seek(0)
            file.write(b"%-20d" % number)
            found = check_one(seed, number, out)
            if found is not None:
                print(json.dumps({"number": number, "found": found[:400]}), flush=True)
            for reason in fuzz_driver.met:
                print(json.dumps({"listed": reason}), flush=True)
            fuzz_driver.met.clear()
        counts = minpy_jit.stats()
        print(json.dumps({name: counts[name] for name in COUNTS}), flush=True)
        file.seek(0)
        file.write(b"%-20d" % stop)
    return 0


class Share:
    """The programs start, start + step ... below stop, in one process after the other."""

    def __init__(self, seed: int, start: int, stop: int, step: int, out: Path, folder: Path) -> None:
        self.seed, self.first, self.next, self.stop, self.step, self.out = seed, start, start, stop, step, out
        self.state = folder / f"state-{start}"
        self.said = folder / f"said-{start}"
        self.process: subprocess.Popen[bytes] | None = None
        if self.state.exists():
            # the program that was interrupted is run again
            self.next = int(self.state.read_bytes())
        self.begin()

    def begin(self) -> None:
        """Start a process at the next program."""
        self.state.write_text(f"{self.next:<20d}")
        self.seen, self.since = self.next, perf_counter()
        if self.next >= self.stop:
            return
        command = [sys.executable, "-c", "import sys; from benchmarks.fuzz import worker; sys.exit(worker(sys.argv[1:]))"]
        numbers = [str(n) for n in (self.seed, self.next, self.stop, self.step)]
        environment = {**os.environ, "NPY_PROMOTION_STATE": "weak", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self.said.open("ab") as said:
            self.process = subprocess.Popen([*command, *numbers, str(self.out), str(self.state)], cwd=ROOT, env=environment, stdout=said)

    def done(self) -> bool:
        """Whether all of it has run; starts the next process where one died."""
        if self.process is None:
            return True
        ended = self.process.poll()
        at = int(self.state.read_bytes() or b"0")
        if at != self.seen:
            self.seen, self.since = at, perf_counter()
        if ended is None and perf_counter() - self.since > HANGING:
            self.process.kill()
            ended = self.process.wait()
        if ended is None or (ended == 0 and at >= self.stop):
            return ended is not None
        with self.said.open("a") as said:
            said.write(f"\n{json.dumps({'ended': at})}\n")
        self.process = None
        self.next = at + self.step
        self.begin()
        return self.process is None

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def count(self) -> int:
        """Programs that have run."""
        return (min(self.seen, self.stop) - self.first + self.step - 1) // self.step


def campaign(seed: int, count: int, jobs: int, out: Path) -> tuple[list[dict[str, Any]], float]:
    """Run it, or the rest of it: what the processes said, and the seconds that it took in all."""
    folder = out / f"progress-{seed}-{count}-{jobs}"
    folder.mkdir(parents=True, exist_ok=True)
    clock = folder / "seconds"
    before = float(clock.read_text()) if clock.exists() else 0.0
    started = told = perf_counter()
    shares = [Share(seed, k, count, jobs, out, folder) for k in range(jobs)]
    try:
        while not all(s.done() for s in shares):
            sleep(0.5)
            if perf_counter() - told > 60:
                told = perf_counter()
                clock.write_text(str(before + told - started))
                print(f"  {sum(s.count for s in shares):,} programs, {before + told - started:.0f} s", file=sys.stderr, flush=True)
    finally:
        for share in shares:
            share.end()
    said = [json.loads(line) for s in shares if s.said.exists() for line in s.said.read_text().splitlines() if line]
    shutil.rmtree(folder)
    return said, before + perf_counter() - started


def main() -> int:
    """Run the campaign; the exit status is 1 if a program differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="check this program alone, in this process")
    parser.add_argument("--out", type=Path, default=ROOT / "fuzz-failures", help="where the scripts of failing programs go")
    parser.add_argument("--quick", action="store_true", help="two hundred programs: to see that it runs")
    args = parser.parse_args()
    if args.only is not None:
        print(program(args.seed, args.only).source())
        found = check_one(args.seed, args.only, args.out)
        print(found or "no difference")
        return int(found is not None)
    count = 200 if args.quick else args.programs
    # so that its processes end with it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    said, seconds = campaign(args.seed, count, args.jobs, args.out.resolve())
    failures = sorted((m for m in said if "number" in m), key=lambda m: m["number"])
    crashed = [m["ended"] for m in said if "ended" in m]
    listed = [m["listed"] for m in said if "listed" in m]
    totals = {name: sum(m.get(name, 0) for m in said) for name in COUNTS}
    print(f"{count:,} programs (seed {args.seed}, {args.jobs} job(s)) in {seconds:.0f} s: {count / seconds:.1f} a second")
    print("  " + ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in totals.items()))
    print(f"  {len(failures)} differ from NumPy, {len(crashed)} ended their process; {len(listed)} met a listed difference:")
    for reason in sorted(set(listed)):
        print(f"    {listed.count(reason)} x {reason}")
    for each in failures:
        print(f"  program {each['number']}: {each['found']}")
    for number in crashed:
        print(f"  program {number}: ended its process; python -m benchmarks.fuzz --seed {args.seed} --only {number}")
    if failures:
        print(f"  scripts that show them: {args.out}")
    return 1 if failures or crashed else 0


if __name__ == "__main__":
    sys.exit(main())
