# SPDX-License-Identifier: Apache-2.0
"""The rows of the comparison: what is measured, against whom, and the ratio that is the goal."""
import contextlib
import dataclasses
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from typing import Callable

from peers import (Csnap, CsnapNbd, NbdServer, QemuNbd, Redis, fio_file, fio_nbd, iops, micro, output,
                   wait_until)

GIB = 1 << 30


@dataclasses.dataclass
class Setting:
    folder: str
    seconds: float


@dataclasses.dataclass
class Row:
    name: str
    peer: str
    unit: str
    goal: float
    # A context manager; what it gives is called for each pair and returns (csnap's, the peer's).
    prepare: Callable
    at_most: bool = False
    pairs: int = 0  # at most; 0: as many as are asked for


@contextlib.contextmanager
def questions(setting, clients, pipeline, *options):
    with Csnap(setting.folder, GIB, GIB // 4) as csnap, Redis(setting.folder) as redis:
        requests = int(setting.seconds * (800_000 if pipeline > 1 else 30_000))

        def pair():
            theirs = redis.rate("get", clients, pipeline, requests)
            ours = csnap.bench(f"unique:{clients}", "--in-flight", str(pipeline), "--prepare",
                               "--seconds", str(setting.seconds), *options)
            return ours["chunks_per_s"], theirs
        yield pair


@contextlib.contextmanager
def new_exceptions(setting):
    # As many places as there will be answers.
    with Csnap(setting.folder, 8 * GIB // 4, 8 * GIB // 4) as csnap, \
            Redis(setting.folder, durable=True) as redis:
        def pair():
            theirs = redis.rate("set", 16, 32, int(setting.seconds * 100_000))
            csnap.admin("create", "scratch")
            ours = csnap.bench("overwrite:16", "--snapshot", "scratch", "--pattern", "once",
                               "--force", "--seconds", str(setting.seconds))
            csnap.delete("scratch")
            return ours["requests_per_s"], theirs
        yield pair


@contextlib.contextmanager
def many_clients(setting):
    with Csnap(setting.folder, GIB, GIB // 4) as csnap:
        def pair():
            def rate(clients, depth):
                return csnap.bench(f"unique:{clients}", "--in-flight", str(depth), "--prepare",
                                   "--seconds", str(setting.seconds))["requests_per_s"]
            few = rate(4, 200)
            return rate(100, 8), few
        yield pair


def first_writes(csnap, nbd, size):
    """IOPS of 4 KiB writes, each place once, under a new snapshot."""
    csnap.admin("create", "first")
    job = fio_nbd(nbd.uri(), "randwrite", size=size)
    csnap.delete("first")
    return iops(job)


@contextlib.contextmanager
def through_nbd(setting, theirs):
    """theirs(csnap): a context manager that gives a function."""
    with Csnap(setting.folder, GIB // 2, GIB) as csnap, CsnapNbd(csnap) as nbd, \
            theirs(csnap, setting) as peer:
        yield csnap, nbd, peer


SIZE = 128 << 20  # of what is written once


@contextlib.contextmanager
def three_transfers(csnap, setting):
    """Reads 4 KiB here, writes 4 KiB there and here, 32 in flight in all: what a copy costs at least."""
    other = os.path.join(setting.folder, "other")
    output("dd", "if=/dev/zero", "of=" + other, "bs=1M", f"count={SIZE >> 20}", "conv=fsync",
           "status=none")

    def rate():
        # Two of three transfers are writes, half of these go elsewhere.
        job = fio_file(f"{csnap.store.origin}:{other}", "randrw", seconds=setting.seconds,
                       size=SIZE, options=("--rwmixread=33", "--file_service_type=random"))
        return iops(job) / 3
    yield rate
    os.unlink(other)


@contextlib.contextmanager
def qcow2(_, setting):
    image = os.path.join(setting.folder, "image.qcow2")

    def rate():
        output("qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=full", image,
               str(SIZE))
        output("qemu-img", "snapshot", "-c", "first", image)
        with QemuNbd(setting.folder, image, "qcow2") as server:
            job = fio_nbd(server.uri(), "randwrite", size=SIZE)
        os.unlink(image)
        return iops(job)
    yield rate


@contextlib.contextmanager
def first_writes_against(setting, peer):
    with through_nbd(setting, peer) as (csnap, nbd, theirs):
        def pair():
            other = theirs()
            return first_writes(csnap, nbd, SIZE), other
        yield pair


@contextlib.contextmanager
def first_against_again(setting, snapshots, options=(), depth=32, size=SIZE):
    with Csnap(setting.folder, GIB // 2, 2 * GIB) as csnap, CsnapNbd(csnap) as nbd:
        for i in range(snapshots - 1):
            csnap.admin("create", f"old{i}")

        def pair():
            csnap.admin("create", "first")
            first = fio_nbd(nbd.uri(), "randwrite", depth, size=size, options=options)
            again = fio_nbd(nbd.uri(), "randwrite", depth, size=size, options=options)
            csnap.delete("first")
            return iops(first), iops(again)
        yield pair


@contextlib.contextmanager
def snapshots_64_against_1(setting):
    with Csnap(setting.folder, GIB // 2, 2 * GIB) as csnap, CsnapNbd(csnap) as nbd:
        def pair():
            one = first_writes(csnap, nbd, SIZE)
            for i in range(63):
                csnap.admin("create", f"old{i}")
            many = first_writes(csnap, nbd, SIZE)
            for i in range(63):
                csnap.delete(f"old{i}")
            return many, one
        yield pair


@contextlib.contextmanager
def plain(setting, rw, qemu):
    """Reads or rewrites through NBD, no snapshot, against fio on the file or qemu-nbd on it."""
    with Csnap(setting.folder, GIB // 2, GIB // 4) as csnap, CsnapNbd(csnap) as nbd:
        def pair():
            if qemu:
                with QemuNbd(setting.folder, csnap.store.origin, "raw") as server:
                    theirs = iops(fio_nbd(server.uri(), rw, seconds=setting.seconds))
            else:
                theirs = iops(fio_file(csnap.store.origin, rw, seconds=setting.seconds, size=SIZE))
            return iops(fio_nbd(nbd.uri(), rw, seconds=setting.seconds)), theirs
        yield pair


@contextlib.contextmanager
def pages_of_a_tree(setting, size, *options):
    """IOPS of 4 KiB writes through NBD to a tree of block files, each page once.

    Each pair has new directories, and all stay to the end: ext4 hands an inode that was given back
    out again only after a minute, and looks at each of these whenever it needs one.
    """
    with contextlib.ExitStack() as served:
        def pair():
            folder = tempfile.mkdtemp(prefix="pair.", dir=setting.folder)
            tree = os.path.join(folder, "tree")
            os.mkdir(tree)
            with NbdServer(folder, tree, GIB) as server:
                theirs = iops(fio_nbd(server.uri(), "randwrite", size=size, options=options))
            csnap = served.enter_context(Csnap(folder, GIB, GIB // 16, trees=True))
            with CsnapNbd(csnap) as nbd:
                return iops(fio_nbd(nbd.uri(), "randwrite", size=size, options=options)), theirs
        yield pair


@contextlib.contextmanager
def killed(setting, figure, limit):
    """figure(csnap, seconds to the first answer) of csnapd started after kill -9 under full load."""
    with Csnap(setting.folder, GIB, 2 * GIB) as csnap:
        def pair():
            csnap.admin("create", "first")
            load = subprocess.Popen(
                csnap.bench_command("overwrite:16", "--snapshot", "first", "--pattern", "once",
                                    "--force", "--seconds", "60"),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until("the load is full",
                       lambda: csnap.store.admin_json("status")["since_start"]["snapshot_writes"] > 100_000)
            csnap.daemon.stop(signal.SIGKILL)
            load.wait()
            began = time.monotonic()
            csnap.start()
            csnap.admin("list")
            ours = figure(csnap, time.monotonic() - began)
            csnap.delete("first")
            return ours, limit
        yield pair


def replay_rate(csnap, _):
    """Records a second, the blocks they need read from the disk included."""
    said = re.findall(r"replayed (\d+) records of \d+ commits in (\d+) ms", csnap.daemon.log())[-1]
    return int(said[0]) / max(int(said[1]), 1) * 1000


def qemu_img_snapshot(folder):
    """The median of some, in milliseconds."""
    image = os.path.join(folder, "snapshots.qcow2")
    output("qemu-img", "create", "-q", "-f", "qcow2", image, str(GIB))
    took = []
    for i in range(9):
        began = time.monotonic()
        output("qemu-img", "snapshot", "-c", str(i), image)
        took.append((time.monotonic() - began) * 1000)
    os.unlink(image)
    return statistics.median(took)


@contextlib.contextmanager
def creation(setting, percentile, limit):
    """Milliseconds to create a snapshot while 16 clients write the origin; limit(folder) beside it."""
    with Csnap(setting.folder, GIB, 2 * GIB) as csnap:
        def pair():
            beside = limit(setting.folder)
            ours = csnap.bench("unique:16", "--in-flight", "1", "--snapshot-every", "50",
                               "--seconds", str(setting.seconds))["snapshots"]
            return ours[percentile] / 1000, beside
        yield pair


@contextlib.contextmanager
def during_deletion(setting):
    """p99.9 of origin writes to be granted while snapshots are deleted, beside that without.

    The deletion of half a million exceptions fills and writes checkpoints all the time.
    """
    with Csnap(setting.folder, GIB // 2, 4 * GIB) as csnap:
        def p999():
            csnap.admin("create", "first")
            result = csnap.bench("unique:4", "--in-flight", "8", "--warmup", "0", "--seconds", "1")
            csnap.delete("first")
            return result["loads"][0]["p99.9_us"]

        def pair():
            old = [f"old{i}" for i in range(4)]
            for name in old:
                csnap.admin("create", name)
                csnap.bench("overwrite:16", "--snapshot", name, "--pattern", "once", "--force",
                            "--seconds", "60")
            without = p999()
            for name in old:
                csnap.admin("delete", "--force", name)
            return p999(), without
        yield pair


@contextlib.contextmanager
def memory(setting):
    """MiB beyond the cache at its peak, with 100 million exceptions, read and written at random."""
    exceptions, cache = 100_000_000, 64
    with Csnap(setting.folder, 1 << 42, 1 << 40, ("--cache", f"{cache}M"), exceptions) as csnap:
        def pair():
            reach = ("--chunks", str(2 * exceptions), "--seconds", str(setting.seconds))
            csnap.bench("read:8", "--snapshot", "s0", *reach)
            csnap.bench("unique:8", *reach)
            with open(f"/proc/{csnap.daemon.process.pid}/status", encoding="ascii") as status:
                peak = re.search(r"VmHWM:\s+(\d+) kB", status.read())
            return int(peak[1]) / 1024 - cache, 64.0
        yield pair


@contextlib.contextmanager
def against_lmdb(_, what):
    """Operations a second of one core, ten million exceptions in memory, 256 known at once."""
    def pair():
        both = micro(f"(tree|lmdb)/{what}")
        return (both["tree/" + what]["items_per_second"],
                both["lmdb/" + what]["items_per_second"])
    yield pair


@contextlib.contextmanager
def bytes_per_exception(_, load, counter, limit):
    """After an insertion of ten million, one by one; all_bytes: with checksums and bitmaps."""
    def pair():
        return micro(f"tree/insert/{load}")["tree/insert/" + load][counter], limit
    yield pair


FLUSHED = ("--fsync=1",)

# Goals that docs/performance.md says are not met, and why; every other one is kept.
NOT_MET = frozenset((
    "durable new exceptions, 16 x 32", "100 clients x 8 in flight", "first writes through NBD",
    "first writes through NBD, qcow2", "pages of a tree, each written once",
    "pages of a tree, flushed every 32", "pages of a tree, each flushed", "rewrites through NBD",
    "rewrites through NBD, qemu", "origin reads through NBD", "origin reads through NBD, qemu",
    "restart after kill -9, first answer", "records replayed by it"))

ALL = [
    Row("unique-chunk queries, 16 x 32", "redis GET -c 16 -P 32", "/s", 1.0,
        lambda s: questions(s, 16, 32)),
    Row("chunk answers, ranges of 64, 16 x 32", "redis GET -c 16 -P 32", "/s", 10,
        lambda s: questions(s, 16, 32, "--range", "64")),
    Row("round trips, 1 x 1", "redis GET -c 1 -P 1", "/s", 1.0, lambda s: questions(s, 1, 1)),
    Row("durable new exceptions, 16 x 32", "redis SET, fsync always", "/s", 1.0, new_exceptions),
    Row("100 clients x 8 in flight", "4 clients x 200", "/s", 0.9, many_clients),
    Row("first writes through NBD", "fio: read, write elsewhere, write", "IOPS", 0.85,
        lambda s: first_writes_against(s, three_transfers)),
    Row("first writes through NBD, qcow2", "qemu-nbd, qcow2 with a snapshot", "IOPS", 8,
        lambda s: first_writes_against(s, qcow2)),
    *[Row(f"first writes, {n} snapshots", "csnap's rewrites", "IOPS", 0.28,
          lambda s, n=n: first_against_again(s, n)) for n in (1, 8, 32, 64)],
    Row("pages of a tree, each written once", "nbd-server, treefiles", "IOPS", 3,
        lambda s: pages_of_a_tree(s, SIZE // 4)),
    Row("pages of a tree, flushed every 32", "nbd-server, treefiles", "IOPS", 3,
        lambda s: pages_of_a_tree(s, SIZE // 16, "--fsync=32")),
    Row("pages of a tree, each flushed", "nbd-server, treefiles", "IOPS", 3,
        lambda s: pages_of_a_tree(s, SIZE // 256, "--fsync=1")),
    Row("first writes, each flushed", "csnap's rewrites, each flushed", "IOPS", 0.45,
        lambda s: first_against_again(s, 1, FLUSHED, 1, 16 << 20)),
    Row("first writes with 64 snapshots", "with 1 snapshot", "IOPS", 0.95, snapshots_64_against_1),
    Row("rewrites through NBD", "fio on the file", "IOPS", 0.80,
        lambda s: plain(s, "randwrite", False)),
    Row("rewrites through NBD, qemu", "qemu-nbd, raw", "IOPS", 1.3,
        lambda s: plain(s, "randwrite", True)),
    Row("origin reads through NBD", "fio on the file", "IOPS", 0.80,
        lambda s: plain(s, "randread", False)),
    Row("origin reads through NBD, qemu", "qemu-nbd, raw", "IOPS", 1.3,
        lambda s: plain(s, "randread", True)),
    Row("restart after kill -9, first answer", "a limit of 100 ms", "ms", 1.0,
        lambda s: killed(s, lambda _, took: took * 1000, 100.0), at_most=True),
    Row("records replayed by it", "a million a second", "/s", 1.0,
        lambda s: killed(s, replay_rate, 1e6)),
    Row("creating a snapshot, 16 clients, median", "a limit of 2 ms", "ms", 1.0,
        lambda s: creation(s, "p50_us", lambda _: 2.0), at_most=True),
    Row("creating a snapshot, 16 clients, p99", "qemu-img snapshot, median", "ms", 0.5,
        lambda s: creation(s, "p99_us", qemu_img_snapshot), at_most=True),
    Row("p99.9 of first writes, deletion running", "without", "us", 2.0, during_deletion,
        at_most=True),
    Row("memory beyond the cache, 100 M exceptions", "a limit of 64 MiB", "MiB", 1.0, memory,
        at_most=True, pairs=1),
    Row("tree lookups/s vs LMDB", "LMDB, transactions of 256", "/s", 2.0,
        lambda s: against_lmdb(s, "lookup/random")),
    Row("batched inserts/s vs LMDB", "LMDB, transactions of 256", "/s", 2.0,
        lambda s: against_lmdb(s, "insert/random")),
    Row("batched inserts/s vs LMDB, sequential", "LMDB, transactions of 256", "/s", 2.0,
        lambda s: against_lmdb(s, "insert/sequential")),
    *[Row(f"bytes of metadata per exception, {load}{more}", f"a limit of {limit:g}", "bytes", 1.0,
          lambda s, load=load, counter=counter, limit=limit:
          bytes_per_exception(s, load, counter, limit), at_most=True)
      for load, tree in (("random", 24.0), ("sequential", 4.0))
      # A CRC-32C and a bit in the bitmap, of every exception, come on top.
      for counter, more, limit in (("tree_bytes", "", tree),
                                   ("all_bytes", ", with checksums and bitmap", tree + 4.25))],
]
