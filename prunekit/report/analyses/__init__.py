"""Beyond the study: its open question on labels, the controls it lacked, pruning in steps, and what zeros are worth.

Each of these has a table, and says what it shows in a sentence or two of Markdown made from the records.
"""

from . import controls, labels, passes, steps

__all__ = ["controls", "labels", "passes", "steps"]
