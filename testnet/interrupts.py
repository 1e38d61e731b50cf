# SPDX-License-Identifier: MIT
"""Ctrl-C and its relatives: they end what is under way, except where stopping half-way would leave something behind that nobody knows of."""

import contextlib
import signal

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Hold:
    """How many of those places are being passed through, and whether a signal came meanwhile."""

    depth, came = 0, False


def interrupt(_number, _frame):
    if Hold.depth:
        Hold.came = True
    else:
        raise KeyboardInterrupt


def catch():
    for number in NUMBERS:
        signal.signal(number, interrupt)


def ignore():
    """While a network is being ended."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held():
    """What is inside happens as a whole; a signal that came takes effect at its end."""
    Hold.depth += 1
    try:
        yield
    finally:
        Hold.depth -= 1
        if Hold.depth == 0 and Hold.came:
            Hold.came = False
            raise KeyboardInterrupt
