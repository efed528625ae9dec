"""What is typical of a checkpoint, and the thresholds that follow from it."""
