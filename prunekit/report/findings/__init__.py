"""Eight things that the paper's numbers were suspected to be, before our trials were run, each with their evidence."""

from .finding import Finding
from .pruning import not_by_layer, one_shot, tied_zeros
from .signal import signals
from .training import disjoint_images, magnitude_untrained, top_five, whole_trial

__all__ = [
    "Finding",
    "disjoint_images",
    "magnitude_untrained",
    "not_by_layer",
    "one_shot",
    "signals",
    "tied_zeros",
    "top_five",
    "whole_trial",
]
