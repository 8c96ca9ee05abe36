"""What holds for all tests."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# Everybody's run tries the same examples, so that a run that fails fails again. CRICKET_HYPOTHESIS=random looks for new
# ones; what it finds becomes a test.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("CRICKET_HYPOTHESIS", "same"))

# A shell starts what it puts in the background with SIGINT ignored, and so would the commands be that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
