"""The event loop of decoding: batching, KV cache, randomness."""
