"""Ctrl-C while Aer runs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


def end_at_interrupt(signal_number: int, frame: Any) -> NoReturn:
    """Handle Ctrl-C as Python does. While this is the handler, Ctrl-C ends a process `in_foreign_code` at once.

    It is the handler of commands that save finished parts as they come.
    """
    raise KeyboardInterrupt


@contextmanager
def in_foreign_code() -> Iterator[None]:
    """Let Ctrl-C end this process at once if its handler is `end_at_interrupt`.

    It is meant for a call of Aer, which lets no Python code run until it is done. Python would handle Ctrl-C only then,
    perhaps after minutes.
    """
    handled = signal.getsignal(signal.SIGINT) is end_at_interrupt
    if not handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_interrupt)
