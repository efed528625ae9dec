"""Any causal language model of transformers in a local folder, as a `LanguageModel`."""
