"""What each token may attend to, as numbers that are added to the scores: 0, or as little as there is.

Numbers, not booleans, since attention with soft caps or sinks adds them. Windows are by layer type, as the
configs of transformers name these."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.errors import ArtifactError

FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"

WINDOW_NAMES: Mapping[str, str] = {SLIDING: "sliding_window", CHUNKED: "attention_chunk_size"}
"""What a config calls the reach of a layer type."""


def windows_of(config: Any) -> dict[str, int | None]:
    """The layer types of a config, and how far each reaches; None is all the way.

    Raises:
        ArtifactError: a layer type that is not known here, or one without its window.
    """
    given = getattr(config, "layer_types", None)
    types = set(given) if given else {SLIDING if getattr(config, "sliding_window", None) else FULL}
    if unknown := types - {FULL, *WINDOW_NAMES}:
        raise ArtifactError(f"it has layers of the type {min(unknown)}")
    windows = {each: getattr(config, WINDOW_NAMES[each], None) for each in types - {FULL}}
    if missing := [each for each, window in windows.items() if not window]:
        raise ArtifactError(f"its config gives no {WINDOW_NAMES[min(missing)]}")
    return {each: windows.get(each) for each in sorted(types)}


def needs_no_mask(windows: Mapping[str, int | None], width: int, reach: int) -> bool:
    """Whether the tokens of one row, the last `width` of `reach` positions, see all before them and nothing
    else is there: so `scaled_dot_product_attention` needs no mask, and is faster without."""
    return width in (1, reach) and all(window is None or reach < window for window in windows.values())


def additive_masks(
    windows: Mapping[str, int | None], positions: Tensor, reach: int, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """(B, 1, T, reach) for tokens at `positions` (B, T), by layer type if there are several.

    A token sees itself and what is before it: all of that, the last `window` positions with its own, or those
    of its own chunk.
    """
    tokens = positions[:, None, :, None]
    seen = torch.arange(reach, device=positions.device)
    masks: dict[str, Tensor] = {}
    for kind, window in windows.items():
        visible = seen <= tokens
        if window is not None:
            near = seen > tokens - window if kind == SLIDING else seen // window == tokens // window
            visible = visible & near
        masks[kind] = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(
            ~visible, torch.finfo(dtype).min
        )
    if len(masks) == 1:
        (mask,) = masks.values()
        return mask
    return masks
