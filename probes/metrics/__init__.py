"""How well scores tell positive rows from negative ones: pure functions of arrays.

Everywhere: `scores` (n,) finite floats, higher where a positive is likelier; `labels` (n,) bool; `groups`
(n,) int, the problem of each row. Tied scores count as tied. What rows cannot tell (no positive, no negative,
no rows; an interval from a single problem) is NaN.
"""
