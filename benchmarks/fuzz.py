"""Random programs against NumPy in every mode, and random gradients against central differences, by the thousand: how many differ, and how
many programs a second. What differs is shrunk, and written as a script that shows it.

    python -m benchmarks.fuzz --programs 200000 --jobs 2 --seed 0 --out fuzz-failures

A program is known by seed and number, so `--only N` runs one again. Each process takes a share of the numbers; one that dies (a crash of
MXNet's, say) is reported with the program that it ran, and its successor goes on behind it. A campaign that is interrupted goes on where
it was when the same command is given again.

`--regions` runs programs through native regions: every step that native code can take is in one, whether it pays or not, from the first
encounter on. Most of those are made without LLVM's optimisations, which take three quarters of the time; one in eight, by the text of its
module, as for users.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter, process_time, sleep
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
# seconds between two looks at the processes
EVERY = 0.5
COUNTS = ("flushes", "reference_runs", "executor_runs", "mxnet_nodes", "compiles")
# what `--regions` counts beside: regions made, modules compiled, those of them as for users, and regions run
REGION_COUNTS = ("regions", "kernels", "optimised_kernels", "region_runs", "programs_with_regions")
# a process tells its counts after so many programs
TOLD_EVERY = 1000
# of so many modules one is compiled with LLVM's optimisations
OPTIMISED_EVERY = 8


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


def _unoptimised(text: str) -> bytes:
    """The object file of a module as it is written."""
    from minpy_jit.exec.regions import jit

    emitted: bytes = jit.machine(0).emit_object(jit.parsed(text))
    return emitted


def mostly_unoptimised(object_of: Callable[[str], bytes], counts: Counter[str]) -> Callable[[str], bytes]:
    """In place of what makes an object file of a module: most are made without LLVM's optimisations. `counts`: how many of each."""

    def made(text: str) -> bytes:
        counts["kernels"] += 1
        if hashlib.sha256(text.encode()).digest()[0] % OPTIMISED_EVERY == 0:
            counts["optimised_kernels"] += 1
            return object_of(text)
        return _unoptimised(text)

    return made


class Regions:
    """Everything that native code can take is in regions while this is entered; it counts them."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Regions:
        from minpy_jit import clear_caches, config
        from minpy_jit.exec import regions, run

        if not regions.available():
            raise RuntimeError(f"[fuzz] native regions: {regions.describe()}")
        from minpy_jit.exec.regions import jit, region

        compile_group, run_stage = region.compile_group, run.NativeStage.run

        def compiled(*arguments: Any) -> Any:
            self.counts["regions"] += 1
            return compile_group(*arguments)

        def ran(stage: Any, *arguments: Any) -> bool:
            self.counts["region_runs"] += len(stage.lowered.code)
            return run_stage(stage, *arguments)

        self._set(jit, "object_of", mostly_unoptimised(jit.object_of, self.counts))
        self._set(region, "compile_group", compiled)
        self._set(run.NativeStage, "run", ran)
        # a region costs nothing, so each one pays
        self._set(region, "REGION_NODE", 0.0)
        self._set(config, "first_run", "mxnet")
        # what was compiled before has other regions
        clear_caches()
        return self

    def _set(self, holder: Any, name: str, value: Any) -> None:
        self.before.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    def __exit__(self, *raised: object) -> None:
        from minpy_jit import clear_caches

        for holder, name, value in reversed(self.before):
            setattr(holder, name, value)
        self.before.clear()
        clear_caches()


def check_one(seed: int, number: int, out: Path | None, compiled: bool = False) -> str | None:
    """Check one program; what differs, or None. A failing one is shrunk and written to `out`. `compiled`: in the modes that run compiled
    code."""
    import fuzz_driver
    import fuzz_gradients

    made = program(seed, number)
    gradient = is_gradient(number)
    driver: Any = fuzz_gradients if gradient else fuzz_driver
    modes = () if gradient else (fuzz_driver.compiled_modes_of(made) if compiled else fuzz_driver.modes_of(made),)
    found: str | None = driver.check(made, *modes)
    if found is None or out is None:
        return found
    smaller = driver.shrink(made, *modes)
    again = driver.check(smaller, *modes)
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
    out, state, through_regions = Path(arguments[4]), Path(arguments[5]), arguments[6] == "regions"
    counts: Counter[str] = Counter()
    since = 0.0
    with state.open("r+b", buffering=0) as file, Regions(counts) if through_regions else nullcontext():
        for number in range(start, stop, step):
            file.seek(0)
            file.write(b"%-20d" % number)
            before = counts["region_runs"]
            found = check_one(seed, number, out, through_regions)
            counts["programs_with_regions"] += counts["region_runs"] > before
            if found is not None:
                print(json.dumps({"number": number, "found": found[:400]}), flush=True)
            for reason in fuzz_driver.met:
                print(json.dumps({"listed": reason}), flush=True)
            fuzz_driver.met.clear()
            if number // step % TOLD_EVERY == TOLD_EVERY - 1 or number + step >= stop:
                # one that dies has told most of what it did
                ours = minpy_jit.stats()
                counts.update({name: ours.get(name, 0) for name in COUNTS})
                now = process_time()
                print(json.dumps({**counts, "cpu_seconds": now - since}), flush=True)
                since = now
                minpy_jit.reset_stats()
                counts.clear()
        file.seek(0)
        file.write(b"%-20d" % stop)
    return 0


class Share:
    """The programs start, start + step ... below stop, in one process after the other."""

    def __init__(self, seed: int, start: int, stop: int, step: int, out: Path, folder: Path, kind: str) -> None:
        self.seed, self.first, self.next, self.stop, self.step, self.out = seed, start, start, stop, step, out
        self.kind = kind
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
        self.seen, self.waited = self.next, 0.0
        if self.next >= self.stop:
            return
        command = [sys.executable, "-c", "import sys; from benchmarks.fuzz import worker; sys.exit(worker(sys.argv[1:]))"]
        numbers = [str(n) for n in (self.seed, self.next, self.stop, self.step)]
        environment = {**os.environ, "NPY_PROMOTION_STATE": "weak", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                [*command, *numbers, str(self.out), str(self.state), self.kind], cwd=ROOT, env=environment, stdout=said
            )

    def done(self) -> bool:
        """Whether all of it has run; starts the next process where one died. It is asked every `EVERY` seconds, and counts these itself: a
        machine that was suspended has let no program hang."""
        if self.process is None:
            return True
        ended = self.process.poll()
        at = int(self.state.read_bytes() or b"0")
        self.waited = 0.0 if at != self.seen else self.waited + EVERY
        self.seen, hangs = at, False
        if ended is None and self.waited > HANGING:
            self.process.kill()
            ended, hangs = self.process.wait(), True
        if ended is None or (ended == 0 and at >= self.stop):
            return ended is not None
        how = f"did not get on for {HANGING} s" if hangs else f"ended its process, with status {ended}"
        with self.said.open("a") as said:
            said.write(f"\n{json.dumps({'ended': at, 'how': how})}\n")
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


def campaign(seed: int, count: int, jobs: int, out: Path, kind: str = "all") -> tuple[list[dict[str, Any]], float]:
    """Run it, or the rest of it: what the processes said, and the seconds that it took in all."""
    folder = out / f"progress-{seed}-{count}-{jobs}{'-regions' if kind == 'regions' else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    clock = folder / "seconds"
    before = float(clock.read_text()) if clock.exists() else 0.0
    started = told = perf_counter()
    shares = [Share(seed, k, count, jobs, out, folder, kind) for k in range(jobs)]
    try:
        # (each is asked: one that died is to go on)
        while sum(not s.done() for s in shares):
            sleep(EVERY)
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
    parser.add_argument("--regions", action="store_true", help="all that native code can take runs in it, from the first encounter on")
    parser.add_argument("--quick", action="store_true", help="two hundred programs: to see that it runs")
    args = parser.parse_args()
    if args.only is not None:
        print(program(args.seed, args.only).source())
        with Regions(Counter()) if args.regions else nullcontext():
            found = check_one(args.seed, args.only, args.out, args.regions)
        print(found or "no difference")
        return int(found is not None)
    count = 200 if args.quick else args.programs
    # so that its processes end with it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    said, seconds = campaign(args.seed, count, args.jobs, args.out.resolve(), "regions" if args.regions else "all")
    failures = sorted((m for m in said if "number" in m), key=lambda m: m["number"])
    crashed = [m for m in said if "ended" in m]
    listed = [m["listed"] for m in said if "listed" in m]
    totals = {name: sum(m.get(name, 0) for m in said) for name in (*COUNTS, *(REGION_COUNTS if args.regions else ()))}
    used = sum(m.get("cpu_seconds", 0.0) for m in said)
    print(
        f"{count:,} programs (seed {args.seed}, {args.jobs} job(s)) in {seconds:.0f} s: {count / seconds:.1f} a second; "
        f"{used:.0f} s of the processor"
    )
    print("  " + ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in totals.items()))
    print(f"  {len(failures)} differ from NumPy, {len(crashed)} ended their process; {len(listed)} met a listed difference:")
    for reason in sorted(set(listed)):
        print(f"    {listed.count(reason)} x {reason}")
    for each in failures:
        print(f"  program {each['number']}: {each['found']}")
    again = f"python -m benchmarks.fuzz {'--regions ' if args.regions else ''}--seed {args.seed} --only"
    for each in crashed:
        print(f"  program {each['ended']}: {each['how']}; {again} {each['ended']}")
    if failures:
        print(f"  scripts that show them: {args.out}")
    return 1 if failures or crashed else 0


if __name__ == "__main__":
    sys.exit(main())
