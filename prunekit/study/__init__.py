"""Trials: what to do, what came out, and running many of them."""
