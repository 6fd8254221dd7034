"""DVC's stages: `python -m stages.NAME TASK ...`."""

import sys

if sys.argv[:1] == ["-m"]:  # that command begins: its imports take seconds, in which its DVC may be killed
    from signal import SIGTERM

    from core.family import die_with_parent

    die_with_parent(SIGTERM)
