"""Fields of answers that are left out where there is nothing to say."""

from functools import partial
from operator import is_

is_none = partial(is_, None)
"""For `exclude_if`; asked of several fields of every token, so it is not written in Python."""
