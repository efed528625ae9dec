"""The service: what users call."""
