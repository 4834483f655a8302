# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests share that mount: csnap-fuse, mounts that go at the end, and file handles."""
import ctypes
import os
import subprocess
import tempfile

from attachments import end, tool
from programs import DEADLINE, check, program, wait_until

AT_FDCWD = -100
LIBC = ctypes.CDLL(None, use_errno=True)


def cannot_mount():
    """Why not; None when it can."""
    if os.geteuid() != 0:
        return "only root may mount, and open handles"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    folder = tempfile.mkdtemp()
    try:
        if subprocess.run(["mount", "-t", "tmpfs", "none", folder], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            return "nothing can be mounted here"
        subprocess.run(["umount", folder], check=True)
    finally:
        os.rmdir(folder)
    return None


def write_at(path, offset, data):
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        check(file.write(data) == len(data))
        os.fsync(file.fileno())


def read_at(path, offset, length):
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        return file.read(length)


def fails(error, function, *arguments):
    try:
        function(*arguments)
    except OSError as wrong:
        return wrong.errno == error
    return False


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def handle_of(path):
    """name_to_handle_at."""
    handle = FileHandle(bytes=128)
    mount = ctypes.c_int()
    if LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), "name_to_handle_at " + path)
    return handle


def open_handle(folder, handle, flags=os.O_RDONLY):
    """open_by_handle_at, on the mount that the folder is on; a file descriptor."""
    mount = os.open(folder, os.O_RDONLY)
    try:
        file = LIBC.open_by_handle_at(mount, ctypes.byref(handle), flags)
        if file < 0:
            error = ctypes.get_errno()
            raise OSError(error, "open_by_handle_at: " + os.strerror(error))
        return file
    finally:
        os.close(mount)


def why_not(*arguments):
    """The errno with which a handle does not open; 0 when it does."""
    try:
        os.close(open_handle(*arguments))
    except OSError as error:
        return error.errno
    return 0


class Fuse:
    """A running csnap-fuse, on a folder in the store's folder."""

    def __init__(self, store, *options, name="mnt", env=None):
        self.folder = os.path.join(store.folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.log_path = os.path.join(store.folder, name + ".log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [program("csnap-fuse"), "--server", store.address, *options, self.folder],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        wait_until("csnap-fuse is ready",
                   lambda: "csnap-fuse: ready" in self.log() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError("csnap-fuse did not start: " + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def snapshot(self, name):
        return self.path("snapshots", name)

    def unmount(self):
        """As an administrator does it: csnap-fuse ends by itself, with exit code 0."""
        tool("umount", self.folder)
        code = self.process.wait(timeout=DEADLINE)
        if code != 0:
            raise AssertionError(f"csnap-fuse ended with {code}: " + self.log())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process, 5)
        subprocess.run(["umount", "-l", self.folder], stderr=subprocess.DEVNULL, check=False)


class Mounted:
    """Something mounted on a new folder until the end."""

    def __init__(self, folder, *arguments):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        tool("mount", *arguments, folder)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            tool("umount", self.folder)
        else:
            subprocess.run(["umount", self.folder], stderr=subprocess.DEVNULL, check=False)
