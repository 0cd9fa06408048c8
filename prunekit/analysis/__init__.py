"""Statistics of runs: cells over seeds, pairs, spreads, the rule, who learned. Frames in, frames out."""
