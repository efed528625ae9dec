from typing import Any

import pytest

from models.language_model import LanguageModel
from models.native.native_decoder import NativeDecoder
from tests.app.engine.tiny import END, tiny_model, tiny_network
from tests.models.native.compiled import needs_native


@pytest.fixture(scope="session", params=["torch", pytest.param("native", marks=needs_native)])
def model(request: pytest.FixtureRequest) -> LanguageModel[Any]:
    """The tiny network by each kernel."""
    return tiny_model() if request.param == "torch" else NativeDecoder(tiny_network(), "tiny", END)
