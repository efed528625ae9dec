"""What a researcher edits: signals, sampling and strategies."""
