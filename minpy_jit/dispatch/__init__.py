"""MinPy's package of dispatch: `from minpy_jit.dispatch.policy import OnlyNumPyPolicy`."""
