"""What reads the model's mind: probes on its hidden states."""
