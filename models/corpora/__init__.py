"""Controlled corpora: one package each, with generator, text, parser and checker."""
