"""What a message may say to whoever asks over HTTP, who has no business with the machine's folders."""

import re

# A folder's name may hold spaces, so a part of a path goes on to the next slash; a sentence's own punctuation
# ends it. An address on the web is no path of this machine, nor is a route of this service.
_START = r"(?:\bfile://|(?<![\w.~/}])(?!(?<=:)//))/(?!v1/|health/|web/)"
_FOLDERS = r"(?:[^/\n'\"`,;:()\[\]{}<>]*/)*"
_LAST_PART = r"(?=[^\s/])"
_ABSOLUTE_PATH = re.compile(_START + _FOLDERS + _LAST_PART)


def without_folders(message: str) -> str:
    """`message` with every absolute path cut to its last part: `config.json` for `/srv/m/config.json`."""
    return _ABSOLUTE_PATH.sub("", message)
