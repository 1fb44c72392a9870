"""The random generators that belong to the whole process."""

import random
from typing import Any

import numpy as np
import torch


class RandomState:
    """Torch's, numpy's and Python's global random numbers, as they stand when this is made."""

    def __init__(self) -> None:
        self._torch, self._python = torch.get_rng_state(), random.getstate()
        self._numpy: Any = np.random.get_state()  # noqa: NPY002 - it is what other people's code draws from
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]

    def changed(self) -> str:
        """Whose random numbers have moved since; empty if none have."""
        now = RandomState()
        if not torch.equal(self._torch, now._torch):
            return "torch's random state"
        if any(not torch.equal(before, after) for before, after in zip(self._cuda, now._cuda, strict=False)):
            return "torch's random state on a GPU"
        if any(not np.array_equal(before, after) for before, after in zip(self._numpy, now._numpy, strict=True)):
            return "numpy's random state"
        return "Python's random state" if self._python != now._python else ""

    def restore(self) -> None:
        """Put all of them back."""
        torch.set_rng_state(self._torch)
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # noqa: NPY002
        for device, state in enumerate(self._cuda):
            torch.cuda.set_rng_state(state, device)
