"""Parts of the trainer: batches, initial weights, optimisers, schedule, state on disk and log."""
