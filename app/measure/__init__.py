"""What asks an engine for numbers: quantiles of signals, counts of wrong answers."""
