"""`python -m prunekit` is `prunekit`."""

from .cli import main

main()
