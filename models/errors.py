"""Errors of the `models` package.

ModelsError
├── SpecError        a parameter outside its allowed range
├── ArtifactError    a file or folder that is missing, damaged or does not fit
├── TemplateError    a chat that the model's chat template does not take
└── CapacityError    more tokens or rows than the model or its cache can hold
"""


class ModelsError(Exception):
    """Base of every error that `models` raises on purpose."""


class SpecError(ModelsError, ValueError):
    """A parameter is outside its allowed range."""


class ArtifactError(ModelsError):
    """A checkpoint or one of its files is missing, damaged or inconsistent."""


class TemplateError(ModelsError, ValueError):
    """A chat template does not make a prompt of these messages; the message is the template's own."""


class CapacityError(ModelsError, ValueError):
    """More tokens or rows were asked for than fit."""


def first_line(error: BaseException) -> str:
    """What a library says is wrong, without what it adds: stack traces, or lists of all that it knows."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def is_failure(error: BaseException) -> bool:
    """Whether something failed. A panic of a library in Rust is no `Exception`, yet says no more than one."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
