# SPDX-License-Identifier: Apache-2.0
"""Clients that speak the protocol byte by byte: frames, and the fields of messages."""
import socket
import struct

from programs import DEADLINE, check

HELLO, WELCOME, UNIQUE, UNIQUE_REPLY, SNAPSHOT_READ, OFFER_COPIES = 2, 3, 16, 17, 18, 30
COPY, COPY_DONE, CREATE, LIST = 62, 64, 80, 86
VOLUME, ADMIN, STREAM = 1, 2, 4
REPLY, ERROR = 1, 2


def varint(number):
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def number_field(field, number):
    return varint(field << 3) + varint(number)


def bytes_field(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def frame(kind, body=b"", request=1, flags=0, length=None):
    return struct.pack("<IHHQ", len(body) if length is None else length, kind, flags,
                       request) + body


def ranges(*pairs):
    return b"".join(bytes_field(1, number_field(1, start) + number_field(2, count))
                    for start, count in pairs)


class Peer:
    """A raw connection."""

    def __init__(self, address):
        unix = isinstance(address, str)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed in the middle: that is one of the right answers

    def exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data

    def receive(self):
        """(type, flags, request id, body), or None when the connection is closed."""
        header = self.exactly(16)
        if header is None:
            return None
        length, kind, flags, request = struct.unpack("<IHHQ", header)
        check(length <= 1 << 20, "a reply of", length, "bytes")
        return kind, flags, request, self.exactly(length) if length else b""

    def refused(self):
        """An error comes, or the end, before anything else but pushes and heartbeats."""
        while True:
            answer = self.receive()
            if answer is None or answer[1] & ERROR:
                return True
            if answer[1] & REPLY:
                return False

    def closed(self):
        while self.receive() is not None:
            pass

    def greeted(self, data):
        self.send(data)
        answer = self.receive()
        check(answer is not None and answer[0] == WELCOME and answer[1] == REPLY, answer)
        return self
