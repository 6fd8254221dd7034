"""`python -m ops.tracking`: send to MLflow what earlier executions could not.

In a checkout that was copied or moved it also lets MLflow's store lead to the artifacts that lie there.
"""

from __future__ import annotations

import sys

from core.errors import StillhouseError
from ops import tracking

try:
    tracking.bring_home()
    unsent = tracking.replay()
except StillhouseError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
if unsent:
    print(
        f"error: {tracking.place()} still does not take {unsent}; start the server and run this again", file=sys.stderr
    )
    sys.exit(2)
