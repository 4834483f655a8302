# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests of send and receive share."""
import os
import random
import struct
import subprocess

import nbd as libnbd

from programs import DEADLINE, check, program

CHUNK = 4096


class Volumes:
    """Reads and writes the volumes of a store through a csnap-nbd."""

    def __init__(self, nbd, size):
        self.nbd, self.size = nbd, size

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def open(self, export):
        handle = libnbd.NBD()
        handle.set_export_name(export)
        handle.connect_unix(self.nbd.socket)
        return handle

    def content(self, export):
        handle = self.open(export)
        data = b"".join(handle.pread(min(1 << 20, self.size - at), at)
                        for at in range(0, self.size, 1 << 20))
        handle.shutdown()
        return data

    def write(self, pieces):
        """{offset: bytes} to the origin."""
        handle = self.open("origin")
        for offset, data in pieces.items():
            handle.pwrite(data, offset)
        handle.flush()
        handle.shutdown()


def changes(chance, size, count, zeros=0):
    """Whole chunks, some next to each other, anywhere; and some that become zeros."""
    pieces = {}
    for i in range(count + zeros):
        length = min(chance.choice((1, 1, 1, 2, 20)) * CHUNK, size)
        at = chance.randrange(max(1, (size - length) // CHUNK)) * CHUNK
        pieces[at] = bytes(length) if i >= count else chance.randbytes(length)
    return pieces


def applied(content, pieces):
    content = bytearray(content)
    for offset, data in pieces.items():
        content[offset:offset + len(data)] = data
    return bytes(content)


def send(store, *arguments):
    """The stream, of a send that must succeed."""
    done = subprocess.run([program("csnap-admin"), "--server", store.address, "send", *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE, check=False)
    check(done.returncode == 0, arguments, done.stderr.decode())
    return done.stdout


def receive(store, stream, *arguments):
    """(exit code, standard output, standard error)"""
    done = subprocess.run(
        [program("csnap-admin"), "--server", store.address, "receive", *arguments],
        input=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def received(store, stream, *arguments):
    """Of a receive that must succeed."""
    code, out, err = receive(store, stream, *arguments)
    check(code == 0, code, out, err)
    return out


def names(store):
    return [s["name"] for s in store.admin_json("list")["snapshots"] if s["state"] == "live"]


def boundaries(stream):
    """Where its commands begin, and where it ends."""
    at, found = 17, [17]
    while at < len(stream):
        at += 10 + struct.unpack_from("<I", stream, at)[0]
        found.append(at)
    return found


def flipped(stream, chance):
    bit = chance.randrange(len(stream) * 8)
    data = bytearray(stream)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data), bit


def seeded(number):
    return random.Random(number)
