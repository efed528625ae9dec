"""Comparisons: many strategies on the same problems, kept as they go, and what the figures allow to say."""
