"""From labelled texts to calibrated probes."""
