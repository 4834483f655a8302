# SPDX-License-Identifier: Apache-2.0
"""Who csnap is compared with, and the programs that ask: redis, qemu-nbd, fio, csnap-bench."""
import json
import os
import shutil
import socket
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "test/e2e"))
from attachments import NbdServer, end, listens  # noqa: E402,F401
from programs import Daemon, Store, program, wait_until  # noqa: E402

PATIENCE = 600  # seconds


def output(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: "
                           f"{done.stderr.decode()[-500:]}{done.stdout.decode()[-500:]}")
    return done.stdout.decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A program that runs until the end of the with."""

    def __init__(self, ready, *command, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        wait_until(command[0] + " is ready", lambda: self.process.poll() is not None or ready())
        if self.process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended with {self.process.returncode}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process, 20)


def port_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Redis(Process):
    def __init__(self, folder, durable=False):
        self.port = free_port()
        self.folder = os.path.join(folder, f"redis{self.port}")
        os.mkdir(self.folder)
        options = ["--appendonly", "yes", "--appendfsync", "always",
                   "--auto-aof-rewrite-percentage", "0"] if durable else ["--appendonly", "no"]
        super().__init__(lambda: port_open(self.port), "redis-server", "--port", str(self.port),
                         "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, *options)

    def __exit__(self, *what):
        super().__exit__(*what)
        shutil.rmtree(self.folder)

    def rate(self, test, clients, pipeline, requests):
        text = output("redis-benchmark", "-p", str(self.port), "-t", test, "-c", str(clients), "-P",
                      str(pipeline), "-n", str(requests), "-r", "1000000", "--csv")
        return float(text.splitlines()[-1].split(",")[1].strip('"'))


def micro(pattern):
    """Benchmarks of csnap_micro whose names match, by name: what it reports of each."""
    if not os.path.exists(program("csnap_micro")):
        raise RuntimeError("csnap_micro was not built: run tools/install-deps, then cmake again")
    text = output(program("csnap_micro"), "--benchmark_format=json",
                  f"--benchmark_filter=^({pattern})(/iterations:|$)")
    # A fixed number of iterations is part of the name.
    return {one["name"].split("/iterations:")[0]: one
            for one in json.loads(text)["benchmarks"]}


class Csnap:
    """A store, its server on TCP and a Unix socket, and what is measured of it."""

    def __init__(self, folder, origin_size, store_size, server=(), exceptions=0, trees=False):
        os.environ["TMPDIR"] = folder
        import tempfile
        tempfile.tempdir = folder
        # Blocks that are there, as on any disk that is in use: a file system that has to find them
        # first, and to write down that it did, would be measured with everything else.
        self.store = Store(origin_size, store_size, sparse=exceptions > 0 or trees, trees=trees)
        if exceptions:
            output(program("csnap_big_store"), self.store.store, str(exceptions))
        self.port = free_port()
        self.server = server
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.daemon.__exit__(*what)
        self.store.__exit__(*what)

    def start(self):
        self.daemon = Daemon(self.store, "--listen", f"127.0.0.1:{self.port}", *self.server)

    def bench_command(self, load, *options):
        return (program("csnap-bench"), "--server", f"127.0.0.1:{self.port}", "--server-pid",
                str(self.daemon.process.pid), "--load", load, "--json", *options)

    def bench(self, load, *options):
        return json.loads(output(*self.bench_command(load, *options)))

    def admin(self, *arguments):
        code, out, err = self.store.admin(*arguments)
        if code != 0:
            raise RuntimeError(f"csnap-admin {arguments}: {err}")
        return out

    def delete(self, name):
        self.admin("delete", "--force", name)
        wait_until("the snapshot's space is given back",
                   lambda: not self.store.admin_json("status")["deleting"])


class CsnapNbd(Process):
    def __init__(self, csnap):
        self.socket = os.path.join(csnap.store.folder, "nbd.sock")
        super().__init__(lambda: listens(self.socket), program("csnap-nbd"), "--server",
                         csnap.store.address, "--listen", "unix:" + self.socket)

    def uri(self, volume="origin"):
        return f"nbd+unix:///{volume}?socket={self.socket}"


class QemuNbd(Process):
    def __init__(self, folder, image, form):
        self.socket = os.path.join(folder, f"qemu{form}.sock")
        super().__init__(lambda: listens(self.socket), "qemu-nbd", "--socket", self.socket,
                         "--format", form, "--cache", "none", "--aio", "native", "--persistent",
                         "--shared", "8", image)

    def __exit__(self, *what):
        super().__exit__(*what)
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def uri(self):
        return f"nbd+unix://?socket={self.socket}"


def fio(*options, seconds=None, size=None):
    """What fio reports of one job."""
    command = ["fio", "--name=job", "--bs=4k", "--output-format=json", "--randrepeat=0",
               "--group_reporting", *options]
    if seconds:
        command += ["--time_based", f"--runtime={seconds}"]
    if size:
        command += [f"--size={size}"]
    text = output(*command)
    return json.loads(text[text.index("{"):])["jobs"][0]


def iops(job):
    return sum(job[way]["iops"] for way in ("read", "write"))


def fio_nbd(uri, rw, depth=32, **more):
    return fio("--ioengine=nbd", "--uri=" + uri, f"--rw={rw}", f"--iodepth={depth}",
               *more.pop("options", ()), **more)


def fio_file(path, rw, depth=32, **more):
    return fio("--ioengine=libaio", "--direct=1", "--filename=" + path, f"--rw={rw}",
               f"--iodepth={depth}", *more.pop("options", ()), **more)
