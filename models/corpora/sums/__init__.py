"""Sums modulo a number, term by term: the smallest corpus, and the example of docs/corpora.md."""
