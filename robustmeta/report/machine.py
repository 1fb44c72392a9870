"""The machine a report was made on, in one line."""

import os
import platform
from pathlib import Path


def this_machine(device: str = "cpu") -> str:
    """System, processor, usable cores and Python; with `device` cuda, the accelerator too."""
    parts = [f"{platform.system()} {platform.machine()}", _processor(), f"{usable_cores()} cores"]
    if device.startswith("cuda"):
        import torch  # a report of a CPU run needs no torch

        parts.append(torch.cuda.get_device_name(device))
    return ", ".join([*filter(None, parts), f"Python {platform.python_version()}"])


def usable_cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
