"""The command line: click commands, one a file, no logic of their own."""

from robustmeta.cli import bench, compare, evaluate, listing, train  # noqa: F401 - each adds its command to `main`
from robustmeta.cli.group import main

__all__ = ["main"]
