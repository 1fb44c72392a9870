"""`python -m robustmeta`: the command line."""

import os
import sys

from robustmeta.cli import main

try:
    main()
except SystemExit as end:
    if "RANK" in os.environ:
        # The interpreter of a process of a job is not shut down: a thread of gloo's that lets go of its last tensor
        # meanwhile, and finds no interpreter any more, aborts the process (torch 2.13).
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
    raise
