#!/usr/bin/python3
"""What Python does with files: buffered and raw I/O, mmap, subprocess, shutil, threads, fork, sqlite3."""

import array
import ctypes
import errno
import fcntl
import gzip
import hashlib
import io
import mmap
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import zipfile


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def pattern(size, seed):
    """Deterministic bytes that no page repeats."""
    block = hashlib.shake_256(str(seed).encode()).digest(min(size, 1 << 20))
    return (block * (size // max(len(block), 1) + 1))[:size]


def buffered():
    with open("buffered", "wb") as file:
        for index in range(5000):
            file.write(b"line %d\n" % index)
    with open("buffered", "r+b") as file:
        file.seek(1000)
        print(file.readline(), file.tell())
        file.seek(2000)
        file.write(b"OVERWRITTEN")
        print(file.read(20), file.tell())
        file.seek(-10, os.SEEK_END)
        print(file.read(), file.tell())
        file.truncate(30000)
        print(file.seek(0, os.SEEK_END))
    with open("buffered", "a+") as file:
        file.write("appended\n")
        file.seek(0)
        print(sum(1 for _ in file))
    with open("buffered", encoding="ascii", newline="") as file:
        print(file.readlines()[-2:])
    with open("buffered", "rb", buffering=0) as file:
        into = bytearray(5000)
        print(file.readinto(into), hashlib.sha256(into).hexdigest()[:16], file.tell())
    with io.open("text", "w", encoding="utf-16") as file:
        file.write("Zürich\n" * 3000)
    with io.open("text", encoding="utf-16") as file:
        print(len(file.read()), digest("text"))


def raw():
    content = pattern(300_000, 1)
    fd = os.open("raw", os.O_RDWR | os.O_CREAT, 0o640)
    print(os.write(fd, content), os.lseek(fd, 0, os.SEEK_SET))
    print([os.read(fd, size) == content[at : at + size] for at, size in [(0, 1), (1, 4095), (4096, 8192)]])
    print(os.pread(fd, 5000, 100_000) == content[100_000:105_000], os.lseek(fd, 0, os.SEEK_CUR))
    print(os.pwrite(fd, b"x" * 6000, 50_001), os.pwrite(fd, b"y" * 10, 299_995))
    print(os.readv(fd, [bytearray(10), bytearray(5000), bytearray(0), bytearray(3)]))
    print(os.writev(fd, [b"a" * 700, b"", b"b" * 9000]), os.lseek(fd, 0, os.SEEK_CUR))
    print(os.preadv(fd, [bytearray(4096), bytearray(4096)], 298_000))
    print(os.pwritev(fd, [b"c" * 4096, b"d" * 4096], 4096))
    twin = os.dup(fd)
    print(os.lseek(twin, 12_345, os.SEEK_SET), os.read(fd, 3) == os.pread(fd, 3, 12_345))
    print(os.lseek(twin, 0, os.SEEK_CUR))
    os.ftruncate(fd, 200_000)
    print(len(os.pread(fd, 10_000, 195_000)), os.pread(fd, 10, 200_000), os.pread(fd, 10, 1 << 40))
    print(os.lseek(fd, 0, os.SEEK_END), os.read(fd, 10), os.lseek(fd, 0, os.SEEK_HOLE))
    os.posix_fallocate(fd, 0, 400_000)
    os.pwrite(fd, b"beyond", 500_000)
    print(os.fstat(fd).st_size, os.sendfile(os.open("sent", os.O_WRONLY | os.O_CREAT), fd, 1000, 70_000))
    with open("copied", "wb") as copied:
        print(os.copy_file_range(fd, copied.fileno(), 90_000, 5000))
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(twin)
    os.close(fd)
    unwritable = lambda: os.write(os.open("raw", os.O_RDONLY), b"no")
    for bad in (lambda: os.read(fd, 1), lambda: os.pread(fd, 1, -1), unwritable):
        try:
            bad()
        except OSError as error:
            print(errno.errorcode[error.errno])
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open("raw", os.O_RDWR)
    for call in (libc.read, libc.write):
        print(call(fd, ctypes.c_void_p(16), 8192), errno.errorcode[ctypes.get_errno()], os.lseek(fd, 0, os.SEEK_CUR))
    os.close(fd)
    print(digest("raw"), digest("sent"), digest("copied"))


def mapped():
    with open("mapped", "w+b") as file:
        file.write(pattern(100_000, 2))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            view[5000:5010] = b"through it"
            file.seek(4998)
            print(file.read(14))
            os.pwrite(file.fileno(), b"by a call!" * 100, 60_000)
            print(view[60_000:60_010], view.find(b"call!"), view.size())
            view.flush()
            view.resize(150_000)
            view[149_990:] = b"0123456789"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
            view[0:4] = b"none"
        print(os.pread(file.fileno(), 20, 149_980), os.pread(file.fileno(), 4, 0) == b"none")
    print(digest("mapped"))


def processes():
    fd = os.open("mapped", os.O_RDONLY)
    os.read(fd, 1000)
    child = os.fork()
    if child == 0:
        os.read(fd, 5000)
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.lseek(fd, 0, os.SEEK_CUR))
    print(subprocess.run(["cksum"], stdin=fd, capture_output=True, check=True).stdout, os.read(fd, 1))
    os.close(fd)
    with open("from-child", "wb") as out:
        for index in range(3):
            subprocess.run(["seq", str(index), "2000"], stdout=out, check=True)
            out.write(b"from the parent\n")
            out.flush()
    print(digest("from-child"))
    # vfork and posix_spawn: the child shares our memory or our descriptors for a moment.
    lines = subprocess.run("cat <buffered | wc -l", shell=True, capture_output=True, text=True, check=True).stdout
    print(lines.strip())
    print(os.waitpid(os.posix_spawn("/bin/cp", ["cp", "buffered", "spawned"], os.environ), 0)[1], digest("spawned"))


def threads():
    path, workers, size = "threads", 4, 8192
    with open(path, "wb") as file:
        file.write(bytes(size * 16 * workers))
    fd = os.open(path, os.O_RDWR)

    def work(worker):
        for step in range(16):
            at = (step * workers + worker) * size
            os.pwrite(fd, bytes([worker * 16 + step]) * size, at)
            if os.pread(fd, size, at) != bytes([worker * 16 + step]) * size:
                print("thread", worker, "reads something else")

    running = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    # One shared offset: every block is taken by exactly one thread.
    seen, lock = [], threading.Lock()

    def take():
        while block := os.read(fd, size):
            with lock:
                seen.append(block[0])

    os.lseek(fd, 0, os.SEEK_SET)
    running = [threading.Thread(target=take) for _ in range(workers)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    os.close(fd)
    print(len(seen), sorted(seen) == sorted(range(64)), digest(path))


def libraries():
    shutil.copyfile("raw", "copyfile")
    shutil.copy2("mapped", "copy2")
    os.makedirs("tree/inner")
    shutil.copy("text", "tree/inner/text")
    os.symlink("inner/text", "tree/link")
    shutil.copytree("tree", "tree-copy", symlinks=True)
    shutil.move("tree-copy", "tree-moved")
    with zipfile.ZipFile("archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("raw"), open("raw", "rb").read())
    with zipfile.ZipFile("archive.zip") as archive:
        print(archive.testzip(), archive.infolist()[0].file_size)
    with gzip.GzipFile("zipped.gz", "wb", mtime=0) as zipped:
        zipped.write(open("mapped", "rb").read())
    with gzip.open("zipped.gz") as zipped:
        zipped.seek(50_000)
        print(hashlib.sha256(zipped.read()).hexdigest()[:16])
    with open("pickled", "wb") as file:
        pickle.dump(list(range(20_000)), file)
    with open("pickled", "rb") as file:
        print(sum(pickle.load(file)))
    numbers = array.array("q", range(10_000))
    with open("array", "wb") as file:
        numbers.tofile(file)
    again = array.array("q")
    with open("array", "rb") as file:
        again.fromfile(file, 10_000)
    print(again == numbers)
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(pattern(50_000, 3))
        file.seek(20_000)
        print(hashlib.sha256(file.read()).hexdigest()[:16])
    with open("locked", "w+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(bytes(9000))
        file.flush()
        probe = subprocess.run([sys.executable, "-c", LOCK_PROBE], capture_output=True, text=True, check=True)
        print(probe.stdout.strip())


LOCK_PROBE = """
import fcntl
with open("locked", "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except OSError as error:
        print("taken", file.read(5))
"""


def database():
    for mode in ("DELETE", "WAL"):
        path = f"{mode.lower()}.db"
        connection = sqlite3.connect(path)
        print(connection.execute(f"PRAGMA journal_mode={mode}").fetchone())
        connection.execute("CREATE TABLE entries (key INTEGER PRIMARY KEY, value TEXT, hash BLOB)")
        for batch in range(10):
            with connection:
                connection.executemany(
                    "INSERT INTO entries VALUES (?, ?, ?)",
                    ((key, f"value {key}", pattern(200, key)) for key in range(batch * 300, batch * 300 + 300)),
                )
            with connection:
                connection.execute("DELETE FROM entries WHERE key % 7 = ?", (batch % 7,))
        connection.execute("CREATE INDEX by_value ON entries (value)")
        reader = sqlite3.connect(path)
        print(reader.execute("SELECT count(*), sum(key), sum(length(hash)) FROM entries").fetchone())
        reader.close()
        print(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        connection.execute("VACUUM")
        print(connection.execute("PRAGMA integrity_check").fetchone())
        print(hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()[:16])
        connection.close()
        print(digest(path))


for part in (buffered, raw, mapped, processes, threads, libraries, database):
    print("==", part.__name__, flush=True)
    part()
    sys.stdout.flush()
print("on stderr", file=sys.stderr)
sys.exit(5)
