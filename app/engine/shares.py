"""Sharing slots out: nobody gets more than asked for, and nobody is given less so that another has more."""

from collections.abc import Sequence


def shares(total: int, demands: Sequence[int]) -> list[int]:
    """What each gets of `total` by max-min fairness ("water filling": Bertsekas and Gallager, Data Networks,
    section 6.5.2), in whole numbers.

    Whoever asks for no more than an equal part has all that it asks for; the others have equal parts of the
    rest, and where these do not come out even the earlier ones have one more.
    """
    given = [0] * len(demands)
    left = total
    order = sorted(range(len(demands)), key=demands.__getitem__)
    for place, index in enumerate(order):
        parts = len(order) - place
        if demands[index] * parts > left:
            part, more = divmod(left, parts)
            for number, other in enumerate(sorted(order[place:])):
                given[other] = part + (number < more)
            break
        given[index] = demands[index]
        left -= demands[index]
    return given
