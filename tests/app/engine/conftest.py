from typing import Any

import pytest

from models.language_model import LanguageModel
from models.native.native_decoder import NativeDecoder
from tests.app.engine.tiny import END, tiny_model, tiny_network
from tests.models.native.compiled import needs_native


@pytest.fixture(
    scope="session",
    params=["torch", *(pytest.param(each, marks=needs_native) for each in ("native", "int8"))],
)
def model(request: pytest.FixtureRequest) -> LanguageModel[Any]:
    """The tiny network by each kernel, and by the native one with int8 weights."""
    if request.param == "torch":
        return tiny_model()
    return NativeDecoder(tiny_network(), "tiny", END, int8=request.param == "int8")
