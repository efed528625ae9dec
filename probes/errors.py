"""What can go wrong with probes; each message names the value, the allowed range and the fix."""


class ProbesError(Exception):
    """Anything that goes wrong in `probes`."""


class LabelsError(ProbesError):
    """A file of labels is damaged, or there are too few of them."""


class ProbeFileError(ProbesError):
    """A stored probe is damaged."""


class ProbeMismatchError(ProbesError):
    """A probe was trained on another checkpoint than the loaded one."""
