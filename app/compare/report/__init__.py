"""The page of a comparison: one HTML file that needs no other."""

from app.compare.report.page import render

__all__ = ["render"]
