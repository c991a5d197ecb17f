"""A process that another of ours started to run what may never end."""

from __future__ import annotations

import os
import threading
import time
from typing import BinaryIO


def answering(parent: int) -> BinaryIO:
    """Make this process such a child: it ends with its parent, and prints nothing into its answer.

    Parameters
    ----------
    parent
        The number of the process that started it.

    Returns
    -------
    The stream that the parent reads; whatever else is printed goes to standard error.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _end_with(parent: int) -> None:
    """End this process once the one that started it is gone, even if killed: nobody else would."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
