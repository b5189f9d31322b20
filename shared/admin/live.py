"""A screen that is drawn again and again until q or Ctrl-C: the terminal of `mercury top`.

It redraws after so many seconds and when the window has another size, and leaves the terminal as it was. What is
drawn is the caller's.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

_QUIT = (b"q", b"Q", b"\x1b", b"")  # nothing: the terminal is gone


def show(draw: Callable[[], Sequence[str]], every: float) -> None:
    """`draw` gives the lines; each is cut at the edge of the window, and those below it are left out."""
    console = Console(highlight=False)
    with _keys() as wait, Live(Text(""), console=console, screen=True, auto_refresh=False) as screen:
        is_over = False
        while not is_over:
            text = Text("\n".join(draw()), no_wrap=True, overflow="ellipsis")
            screen.update(text, refresh=True)
            is_over = wait(every)


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A wait for so many seconds, or until a key or another size of the window; it says whether that was to quit."""
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    resized, resizes = os.pipe()
    os.set_blocking(resizes, False)
    former_wakeup = signal.set_wakeup_fd(resizes, warn_on_full_buffer=False)
    former_handler = signal.signal(signal.SIGWINCH, lambda *_: None)
    former_terminal = termios.tcgetattr(keyboard) if keyboard is not None else None

    def wait(seconds: float) -> bool:
        ready, _, _ = select.select([one for one in (resized, keyboard) if one is not None], [], [], seconds)
        if resized in ready:
            os.read(resized, 512)
        return keyboard in ready and os.read(keyboard, 64)[:1] in _QUIT if keyboard is not None else False

    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        yield wait
    finally:
        if keyboard is not None and former_terminal is not None:
            with suppress(termios.error):
                termios.tcsetattr(keyboard, termios.TCSADRAIN, former_terminal)
        signal.signal(signal.SIGWINCH, former_handler)
        signal.set_wakeup_fd(former_wakeup)
        os.close(resized)
        os.close(resizes)
