"""GGUF files, served as they are: llama.cpp computes, with the weights quantised."""
