"""The forward pass of our own networks in C++: one call a tick, from tokens to logits and signals."""
