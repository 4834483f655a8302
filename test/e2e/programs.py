# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests in Python share: csnap's programs, run and ended."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("CSNAP_BIN", os.path.join(TOP, "build/bin"))
DEADLINE = 60  # seconds; anything that takes longer hangs


def program(name):
    return os.path.join(BIN, name)


def run(name, *arguments, stdin=subprocess.DEVNULL, env=None):
    """Runs one of csnap's programs to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([program(name), *arguments], stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=DEADLINE, check=False, env=env)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def wait_until(what, condition):
    """Polls; there is no event to wait for between processes that do not know of each other."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


class Store:
    """An origin and a store for it, in a folder that goes at the end. Sparse files, or full ones.

    With CSNAP_TREES in the environment they are trees of block files, unless files are wanted."""

    def __init__(self, origin_size=64 << 20, store_size=64 << 20, options=(), sparse=True,
                 trees=bool(os.environ.get("CSNAP_TREES"))):
        self.folder = tempfile.mkdtemp(prefix="csnap-e2e.")
        self.origin = os.path.join(self.folder, "origin")
        self.store = os.path.join(self.folder, "store")
        self.address = "unix:" + os.path.join(self.folder, "csnapd.sock")
        if trees:
            os.mkdir(self.origin)
            self.origin = f"tree:{self.origin}?size={origin_size}"
            self.store = f"tree:{self.store}?size={store_size}"
        else:
            with open(self.origin, "wb") as file:
                file.truncate(origin_size)
        if not sparse:
            subprocess.run(["dd", "if=/dev/zero", "of=" + self.origin, "bs=1M",
                            f"count={origin_size >> 20}", "conv=fsync", "status=none"], check=True)
            options = (*options, "--preallocate")
        code, _, err = run("csnap-mkstore", "--size", str(store_size), *options, self.origin,
                           self.store)
        if code != 0:
            raise AssertionError("csnap-mkstore failed: " + err)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def admin(self, *arguments, **more):
        return run("csnap-admin", "--server", self.address, *arguments, **more)

    def admin_json(self, *arguments):
        code, out, err = self.admin("--json", *arguments)
        if code != 0:
            raise AssertionError(f"csnap-admin {arguments}: exit code {code}: {out} {err}")
        return json.loads(out)


class Daemon:
    """A running csnapd; at the end it is asked to stop, and must do so with exit code 0."""

    def __init__(self, store, *options, listen=True, binary=None):
        self.log_path = os.path.join(store.folder, "csnapd.log")
        arguments = ["--origin", store.origin, "--store", store.store, *options]
        if listen:
            arguments += ["--listen", store.address]
        with open(self.log_path, "ab") as log:
            start = log.tell()
            self.process = subprocess.Popen([binary or program("csnapd"), *arguments],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("csnapd is ready",
                   lambda: "csnapd: ready" in self.log()[start:] or
                   self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError("csnapd did not start: " + self.log()[start:])

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def ready_line(self):
        return [line for line in self.log().splitlines() if "csnapd: ready" in line][-1]

    def stop(self, how=signal.SIGTERM):
        """The exit code, and how long it took in seconds."""
        began = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE)
        return code, time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is not None:
            return
        code, _ = self.stop()
        if code != 0 and kind is None:
            raise AssertionError(f"csnapd ended with {code}: " + self.log())


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(each) for each in what) or "not so")


def main(tests):
    """Runs the functions, or those named on the command line; each one's name, with spaces for
    underscores, says what it shows."""
    failed = 0
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        name = test.__name__.replace("_", " ")
        try:
            test()
            print("ok: " + name, flush=True)
        except Exception as error:  # any failure is this test's failure; the others still run
            failed += 1
            print(f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
