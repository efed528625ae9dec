from hypothesis import settings

from tests.environment import only_one_thread

# Here, so that it holds however the tests are started: by make, by CI, by pytest itself or by an editor.
only_one_thread()

# The same examples on every run, and no deadline per example: it would fail on a busy machine.
settings.register_profile("demur", deadline=None, derandomize=True, database=None)
settings.load_profile("demur")
