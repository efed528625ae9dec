"""The igsm corpus of a checkpoint, where a command cannot do without one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.igsm.spec import IgsmSpec


def require_spec(loaded: "LoadedCheckpoint", consequence: str) -> "IgsmSpec":
    """The corpus that a checkpoint's card names.

    Args:
        consequence: ends the message: what cannot be done with a model of another corpus, and what can.

    Raises:
        ArtifactError: the card names no igsm corpus.
    """
    from models.corpora.igsm.spec import IgsmSpec
    from models.errors import ArtifactError

    spec = IgsmSpec.of_checkpoint(loaded.card)
    if spec is None:
        raise ArtifactError(
            f"the card of {loaded.path} names no igsm corpus; only a model trained by `demur pretrain` "
            f"{consequence}"
        )
    return spec
