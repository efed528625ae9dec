"""Whether the native step was compiled; what tests it is skipped where there is no compiler."""

import pytest

from models.native.build import library_path

needs_native = pytest.mark.skipif(
    not library_path().exists(), reason="the native step is not compiled: python -m models.native.build"
)
