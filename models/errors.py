"""Errors of the `models` package.

ModelsError
├── SpecError        a parameter outside its allowed range
├── ArtifactError    a file or folder that is missing, damaged or does not fit
└── CapacityError    more tokens or rows than the model or its cache can hold
"""


class ModelsError(Exception):
    """Base of every error that `models` raises on purpose."""


class SpecError(ModelsError, ValueError):
    """A parameter is outside its allowed range."""


class ArtifactError(ModelsError):
    """A checkpoint or one of its files is missing, damaged or inconsistent."""


class CapacityError(ModelsError, ValueError):
    """More tokens or rows were asked for than fit."""
