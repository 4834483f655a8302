# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests share that attach volumes: csnap-nbd, and stock NBD clients."""
import os
import shutil
import signal
import socket
import subprocess

from programs import DEADLINE, program, wait_until


def end(process, patience):
    """Asks a process to end, if it runs, and kills it when so many seconds later it still does."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=DEADLINE)


def listens(path):
    """Is there somebody behind the Unix socket? Its file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


class Nbd:
    """A running csnap-nbd, on a Unix socket in the store's folder."""

    def __init__(self, store, *options, name="nbd"):
        self.socket = os.path.join(store.folder, name + ".sock")
        self.log_path = os.path.join(store.folder, name + ".log")
        with open(self.log_path, "ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(
                [program("csnap-nbd"), "--server", store.address, "--listen",
                 "unix:" + self.socket, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("csnap-nbd is ready",
                   lambda: "csnap-nbd: ready" in self.log()[start:] or
                   self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError("csnap-nbd did not start: " + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def uri(self, export="origin"):
        return f"nbd+unix:///{export}?socket={self.socket}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process, 3)  # nbdkit waits for clients that stay


def tool(*command, fails=False, timeout=300):
    """Runs any program to its end; its output with errors. Raises when it fails, or does not."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    output = done.stdout.decode(errors="replace")
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}: {output[-3000:]}")
    return output


class NbdServer:
    """Debian's nbd-server with a tree of block files, on a Unix socket in the folder."""

    PROGRAM = shutil.which("nbd-server") or shutil.which("nbd-server", path="/usr/sbin:/sbin")

    def __init__(self, folder, directory, size, *lines):
        self.socket = os.path.join(folder, "nbd-server.sock")
        config = os.path.join(folder, "nbd-server.conf")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with open(config, "w", encoding="ascii") as file:
            file.write("\n".join(["[generic]", "unixsock = " + self.socket, f"port = {port}",
                                  "listenaddr = 127.0.0.1",
                                  "[tree]", "exportname = " + directory, f"filesize = {size}",
                                  "treefiles = true", "flush = true", "trim = true", *lines, ""]))
        pid = os.path.join(folder, "nbd-server.pid")
        # As a daemon: one in the foreground ends with its first connection.
        tool(self.PROGRAM, "-C", config, "-p", pid)
        wait_until("nbd-server listens", lambda: listens(self.socket))
        with open(pid, encoding="ascii") as file:
            self.pid = int(file.read())

    def uri(self):
        return f"nbd+unix:///tree?socket={self.socket}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as children:
            pids = [self.pid, *map(int, children.read().split())]  # one for each connection
        os.kill(self.pid, signal.SIGTERM)
        wait_until("nbd-server has ended",
                   lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
        if os.path.exists(self.socket):
            os.unlink(self.socket)
