"""Words and pictures: records and published numbers -> tables, figures, verdicts, and one report."""

from .notebook import Settings
from .page import Page

__all__ = ["Page", "Settings"]
