"""Entry for tools that still start `setup.py`. What the package is, pyproject.toml says."""

from setuptools import setup

setup()
