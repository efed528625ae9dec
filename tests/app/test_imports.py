"""What a server imports before it is ready: nothing that takes seconds and that most servers never use."""

import subprocess
import sys

HEAVY = ("matplotlib", "pandas", "scipy", "sklearn", "statsmodels", "transformers")


def test_the_application_brings_no_library_along_that_it_needs_later_or_never() -> None:
    code = f"import sys, app.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
