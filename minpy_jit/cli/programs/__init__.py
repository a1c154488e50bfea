"""The demo's programs, written as a user writes them: heat.py is ordinary NumPy, digits.py trains a network on lazy arrays, and
digits_numpy.py and digits_mxnet.py are the same training step by hand in NumPy and in MXNet's imperative interface."""
