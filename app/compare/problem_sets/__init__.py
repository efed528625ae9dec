"""Problem sets: where the problems of a comparison come from, and who says what a completion is worth."""
