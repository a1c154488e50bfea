"""Sweeps over more than the cache holds go as wavefronts. That each line comes when what it needs is there: by going through the order in
which threads take them. What they compute: against NumPy, small arrays taken for large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec import regions

pytestmark = pytest.mark.skipif(not regions.enabled(), reason="of native loops")

if regions.built():
    from test_schedule import run

    from minpy_jit.exec.regions import emit, scalars, wavefront
    from minpy_jit.exec.regions.table import Row, Wavefront
    from minpy_jit.exec.regions.tensors import Axis, Memory, Tensor, Tensors
    from minpy_jit.exec.regions.wavefront import Lines, Touch


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Wavefront]:
    """The wavefronts that were made."""
    found: list[Wavefront] = []
    original = emit.wavefronts

    def noting(*args: Any) -> list[Wavefront]:
        made = original(*args)
        found.extend(made)
        return made

    monkeypatch.setattr(emit, "wavefronts", noting)
    return found


@pytest.fixture
def small(noted: list[Wavefront], monkeypatch: pytest.MonkeyPatch) -> list[Wavefront]:
    """Small arrays count as large ones; the wavefronts that were made."""
    for name, value in (("CACHE", 0), ("ROOM", 3000), ("FEWEST", 1), ("WORTH", 9.0), ("LINE", 64)):
        monkeypatch.setattr(wavefront, name, value)
    monkeypatch.setattr(emit, "WAKING_WORK", 1)
    minpy_jit.clear_caches()
    return noted


# -- the order -----------------------------------------------------------------------------------------------------------------------------
def steps(made: Wavefront, counts: Sequence[int], threads: int) -> list[list[list[tuple[int, int]]]]:
    """The (member, line)s that each thread takes, in order, before and after they wait: what table.py's function does, in Python."""
    team = min(threads, max(made.length // max(made.skew + made.gap, 1), 1))
    found: list[list[list[tuple[int, int]]]] = [[], []]
    for thread in range(team):
        begin, end = (made.length * t // team for t in (thread, thread + 1))
        first: list[tuple[int, int]] = []
        for at in range(begin, end + made.skew, made.block):
            for k, (_, skew, gap) in enumerate(made.members):
                low = max(at - skew, begin + gap if thread else 0)
                high = min(at + made.block - skew, end - skew if thread < team - 1 else made.length, counts[k])
                first += [(k, line) for line in range(low, high)]
        second: list[tuple[int, int]] = []
        if thread:
            for k, (_, skew, gap) in enumerate(made.members):
                second += [(k, line) for line in range(max(begin - skew, 0), min(begin + gap, counts[k]))]
        found[0].append(first)
        found[1].append(second)
    return found


def random_touches(rng: numpy.random.Generator) -> frozenset[Touch]:
    """Some lines nearby, of two buffers in one memory and one in another."""
    found = []
    for memory, begin in ((0, 0), (0, 10_000), (1, 0)):
        for writes in (False, True):
            if rng.random() < 0.4:
                low = int(rng.integers(-25, 25))
                found.append(Touch(memory, begin, begin + 10_000, 10, begin + low, begin + low + int(rng.integers(0, 30)), writes))
    return frozenset(found)


@pytest.mark.parametrize("seed", range(60))
def test_lines_come_when_what_they_need_is_there(seed: int, small: list[Wavefront]) -> None:
    rng = numpy.random.default_rng(seed)
    threads = int(rng.integers(1, 6))
    growing = wavefront._Growing()
    sections: list[list[Lines]] = []
    for _ in range(int(rng.integers(2, 7))):
        section = [Lines(int(rng.integers(90, 130)), 1, random_touches(rng)) for _ in range(int(rng.integers(1, 3)))]
        if growing.add([(Row(None, [], [], 1, 1, 1), lines) for lines in section], {0, 1}, threads):  # type: ignore[arg-type]
            sections.append(section)
    made = growing.wavefront()
    if made is None:
        assert len(sections) < 2 or not any(lines.touches for section in sections for lines in section)
        return
    members = [(n, lines) for n, section in enumerate(sections) for lines in section]
    counts = [lines.count for _, lines in members]
    # when each is done: in which part, by whom, as which
    place: dict[tuple[int, int], tuple[int, int, int]] = {}
    for part, of_threads in enumerate(steps(made, counts, threads)):
        for thread, taken in enumerate(of_threads):
            for number, member in enumerate(taken):
                assert member not in place, "twice"
                place[member] = part, thread, number
    assert len(place) == sum(counts), "some are left out"
    for after, (its_section, its) in enumerate(members):
        for before, (section, lines) in enumerate(members):
            if section >= its_section:
                continue
            for a in lines.touches:
                for b in its.touches:
                    if a.memory != b.memory or a.begin != b.begin or not (a.writes or b.writes):
                        continue
                    for line in range(its.count):
                        for other in range(max(line - 6, 0), min(line + 7, lines.count)):
                            if a.first + other * 10 <= b.last + line * 10 and b.first + line * 10 <= a.last + other * 10:
                                earlier, later = place[before, other], place[after, line]
                                assert earlier[0] < later[0] or (earlier[:2] == later[:2] and earlier[2] < later[2]), (a, b, other, line)


def test_what_may_touch_any_line_ends_a_wavefront(small: list[Wavefront]) -> None:
    growing = wavefront._Growing()
    dense = Touch(0, 0, 1000, 10, 0, 9, True)
    row = Row(None, [], [], 1, 1, 1)  # type: ignore[arg-type]
    assert growing.add([(row, Lines(100, 1, frozenset([dense])))], {0}, 1)
    for touch in (Touch(0, 0, 1000, 0, 0, 999, False), Touch(0, 0, 1000, 20, 0, 9, False)):
        assert not growing.add([(row, Lines(100, 1, frozenset([touch])))], {0}, 1)
    # of another buffer it may
    assert growing.add([(row, Lines(100, 1, frozenset([Touch(0, 1000, 2000, 0, 1000, 1999, False)])))], {0}, 1)


# -- what they compute ---------------------------------------------------------------------------------------------------------------------
def jacobi(xp: Any, u: Any) -> Any:
    u = u.copy()
    for _ in range(9):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def wave(xp: Any, u: Any) -> Any:
    before = u.copy()
    for _ in range(7):
        after = u.copy()
        after[1:-1] = 2 * u[1:-1] - before[1:-1] + 0.5 * (u[2:] - 2 * u[1:-1] + u[:-2])
        before, u = u, after
    return u * 2 + before


def life(xp: Any, u: Any) -> Any:
    alive = (u > 0.5).astype("int32")
    for _ in range(6):
        near = alive[:-2, :-2] + alive[:-2, 1:-1] + alive[:-2, 2:] + alive[1:-1, :-2] + alive[1:-1, 2:]
        near = near + alive[2:, :-2] + alive[2:, 1:-1] + alive[2:, 2:]
        new = alive.copy()
        new[1:-1, 1:-1] = xp.where((near == 3) | ((near == 2) & (alive[1:-1, 1:-1] == 1)), 1, 0)
        alive = new
    return alive


def one_sided(xp: Any, u: Any) -> Any:
    u = u.copy()
    for k in range(8):
        u[1 + k % 3 :] = u[1 + k % 3 :] * 0.5 + u[: -1 - k % 3]
    return u


def with_rows(xp: Any, u: Any) -> Any:
    u = u.copy()
    for _ in range(5):
        u[1:-1] = u[1:-1] - (u[2:] + u[:-2]).max(axis=1, keepdims=True)
        u = u / 2
    return u


def with_totals(xp: Any, u: Any) -> Any:
    u = u.copy()
    for _ in range(4):
        u[1:] = u[1:] + u[:-1]
        u[:, 1:] = u[:, 1:] - u.max()
        u[:-1] = u[:-1] * 0.25 + u[1:]
    return u


PROGRAMS: list[Callable[[Any, Any], Any]] = [jacobi, wave, life, one_sided, with_rows, with_totals]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("program", PROGRAMS)
def test_sweeps(program: Callable[[Any, Any], Any], threads: int, small: list[Wavefront], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minpy_jit.config, "threads", threads)
    minpy_jit.clear_caches()
    for shape in ((150, 16), (131, 9), (140, 33)):
        given = numpy.random.default_rng(3).random(shape).astype("float32")
        expected = program(numpy, given)
        for wrapped in (program, minpy_jit.trace(pure=True)(lambda u: program(np, u))):
            for _ in range(4):
                got = wrapped(np, np.array(given)) if wrapped is program else wrapped(np.array(given))
                numpy.testing.assert_array_equal(got.asnumpy(), expected)
    assert small, "no wavefront"
    assert any(len(made.rows) >= 3 for made in small)


@pytest.mark.parametrize(("rows", "wanted"), [(64, False), (4096, True)])
def test_a_large_grid_goes_so_and_a_small_one_does_not(rows: int, wanted: bool, noted: list[Wavefront]) -> None:
    k = Tensors(scalars.knows)
    x = Memory((rows, 1024), numpy.dtype(numpy.float32), 0)
    y: Tensor = x
    for _ in range(3):
        beside = [k.slices(y, [(start, rows - 2, 1), (0, 1024, 1)]) for start in (0, 2)]
        y = k.update(y, k.map("add", *beside), [Axis(1, ((0, 1),)), Axis(0, ((1, 1),))])
    (got,), _ = run([y], [x], [numpy.ones((rows, 1024), numpy.float32)], threads=2)
    assert bool(noted) == wanted
    assert (got[3:-3] == 8).all() and (got[0] == 1).all()
