"""A program with a terminal of its own, and a person who types on it."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

PATIENCE_S = 30


class Terminal:
    """Runs `argv` with the far end of a pty as its controlling terminal, stdin, stdout and stderr."""

    def __init__(self, argv, **options):
        self.near, self.far = pty.openpty()
        self.before = termios.tcgetattr(self.far)
        self.output = ""
        self.child = subprocess.Popen(
            [str(word) for word in argv], stdin=self.far, stdout=self.far, stderr=self.far,
            start_new_session=True, preexec_fn=self._take_terminal, **options,
        )

    def _take_terminal(self):
        fcntl.ioctl(self.far, termios.TIOCSCTTY, 0)

    def _hear(self, seconds):
        if select.select([self.near], [], [], seconds)[0]:
            self.output += os.read(self.near, 4096).decode().replace("\r\n", "\n")

    def expect(self, text):
        """Waits until the program has said it."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.output:
            assert time.monotonic() < end, f"waited for {text!r}, got {self.output!r}"
            assert self.child.poll() is None or self._more(), f"{text!r} not in {self.output!r}"
            self._hear(0.05)

    def _more(self):
        return bool(select.select([self.near], [], [], 0)[0])

    def type(self, text):
        os.write(self.near, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.far)[3] & termios.ECHO)

    def wait(self):
        """The exit status; all that was said is in output then."""
        end = time.monotonic() + PATIENCE_S
        while self.child.poll() is None:
            assert time.monotonic() < end, f"still runs: {self.output!r}"
            self._hear(0.02)
        while self._more():
            self._hear(0)
        return self.child.returncode

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.near)
        os.close(self.far)
