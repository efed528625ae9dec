"""Running a program of somebody else's with limits, and ending all that it began."""
