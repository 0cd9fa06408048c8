"""One paper: its numbers and what others got, how they can be read, the rule that judges them, its claims.

The study is a course project of 2022, *Network Pruning - Extended*, whose numbers each rest on one run.
"""
