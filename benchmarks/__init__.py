"""One file per workload; `python -m benchmarks.NAME`, or `minpy-jit bench [NAMES]` for all. `--quick` only shows that they run."""
