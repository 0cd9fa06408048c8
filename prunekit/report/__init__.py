"""What notebooks share: open a profile, write a table or a figure; and one report of them all. Knows no paper."""
