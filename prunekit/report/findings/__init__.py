"""Nine things that the paper's numbers were suspected to be, before our trials were run, each with their evidence."""

from .finding import Finding
from .images import disjoint_images, reaugmented
from .pruning import not_by_layer, one_shot, tied_zeros
from .signal import signals
from .training import magnitude_untrained, top_five, whole_trial

__all__ = [
    "Finding",
    "disjoint_images",
    "magnitude_untrained",
    "not_by_layer",
    "one_shot",
    "reaugmented",
    "signals",
    "tied_zeros",
    "top_five",
    "whole_trial",
]
