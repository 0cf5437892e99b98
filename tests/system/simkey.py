"""ekey-sim as a process, for the tests of the simulator itself."""

import pathlib
import signal
import subprocess

from processes import PATIENCE_S, program, wait_until

SERIAL = "SIMULATEDKEY0001"


class SimKey:
    """A running ekey-sim on `kind`, pty or unix."""

    def __init__(self, place, kind, *options):
        self.path = place / f"key.{kind}"
        self.keyring = place / "keyring"
        self.log = place / "sim.log"
        self.out = place / "sim.out"
        argv = [program("ekey-sim"), "--listen", f"{kind}:{self.path}", "--keyring", self.keyring, *options]
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        greeting = f"SIMULATED Entropy Key {SERIAL}"
        wait_until(lambda: self._said(greeting), "ekey-sim's greeting")

    def _said(self, what):
        assert self.process.poll() is None, f"ekey-sim ended: {self.log.read_text()}"
        return what in self.log.read_text()

    def counters(self):
        """The counters, as of now."""
        lines = self._counter_lines()
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(self._counter_lines()) > len(lines), "ekey-sim's counters")
        return dict((k, int(v)) for k, v in (f.split("=") for f in self._counter_lines()[-1]))

    def _counter_lines(self):
        lines = self.log.read_text().splitlines(keepends=True)
        return [l.split()[1:] for l in lines if l.startswith("ekey-sim: blocks=") and l[-1] == "\n"]

    def run_time_ns(self):
        """CPU time so far: it does not change unless the process runs."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.path.unlink(missing_ok=True)
