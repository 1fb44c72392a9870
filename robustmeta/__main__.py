"""`python -m robustmeta`: the command line."""

from robustmeta.cli import main

main()
