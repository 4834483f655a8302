# SPDX-License-Identifier: Apache-2.0
"""A server beside another one, for tests of replication."""
import signal
import subprocess

from attachments import Nbd
from programs import DEADLINE, Daemon, Store, check, program, run
from streams import Volumes, applied, changes, names, seeded

SIZE = 4 << 20


class Server:
    """A volume with a server that takes streams."""

    def __init__(self, *options):
        self.store = Store(SIZE, 4 * SIZE + (32 << 20), trees=False)
        self.options = ("--lease", "1000", *options)
        self.chance = seeded(7)
        self.contents = {}
        self.now = bytes(SIZE)
        self.start()

    def start(self):
        self.daemon = Daemon(self.store, *self.options)

    def kill(self):
        self.daemon.stop(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.daemon.__exit__(kind, *rest)
        if kind is None:
            code, out, err = run("csnap-check", "--data", self.store.store)
            check(code == 0, out, err)
        self.store.__exit__()

    @property
    def address(self):
        return self.store.address

    def admin(self, *arguments, expect=0):
        code, out, err = self.store.admin(*arguments)
        check(code == expect, arguments, code, out, err)
        return out + err

    def write(self, count=60):
        with Nbd(self.store) as nbd:
            pieces = changes(self.chance, SIZE, count)
            Volumes(nbd, SIZE).write(pieces)
            self.now = applied(self.now, pieces)

    def fill(self):
        with Nbd(self.store) as nbd:
            self.now = self.chance.randbytes(SIZE)
            Volumes(nbd, SIZE).write({0: self.now})

    def create(self, *all_names):
        for name in all_names:
            self.write()
            self.admin("create", name)
            self.contents[name] = self.now

    def replicate(self, to, *arguments, expect=0):
        return self.admin("replicate", "--to", to.address, *arguments, expect=expect)

    def begin(self, to, *arguments):
        return subprocess.Popen(
            [program("csnap-admin"), "--server", self.address, "replicate", "--to", to.address,
             *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def contents_of(self, *all_names):
        with Nbd(self.store, "--read-only") as nbd:
            volumes = Volumes(nbd, SIZE)
            return {name: volumes.content(name) for name in all_names}

    def has(self, other):
        """Every snapshot of the other that is here, with its content; and which those are."""
        here = [name for name in names(self.store) if name in other.contents]
        for name, content in self.contents_of(*here).items():
            check(content == other.contents[name], name, "differs")
        return here

    def status(self):
        return self.store.admin_json("status")["replication"]

    def origin_writes(self):
        return self.store.admin_json("status")["since_start"]["origin_writes"]


def ended(process):
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out.decode(), err.decode()
