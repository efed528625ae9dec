from hypothesis import settings

# The same examples on every run, and no deadline per example: it would fail on a busy machine.
settings.register_profile("demur", deadline=None, derandomize=True, database=None)
settings.load_profile("demur")
