"""Pruning at initialisation, re-run and checked."""

__version__ = "0.1.0"
