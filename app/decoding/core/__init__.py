"""What a strategy writes with: sequences, the commands they send, and what comes back."""
