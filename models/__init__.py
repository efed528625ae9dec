"""The language model: network, tokenizer, corpora, pretraining and checkpoints."""
