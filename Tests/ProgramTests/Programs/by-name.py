#!/usr/bin/python3
"""libc's functions taken by their names, with ctypes and with cffi: the calls that are served, and those that change
what a number means, each beside Python's own calls of the same file. Prints what it saw; every hash is of bytes that
were read."""

import ctypes
import hashlib
import os

import cffi

PAGE = 4096
PAGES = 128


def content(name):
    return b"".join(hashlib.shake_256(b"%s %d" % (name.encode(), page)).digest(PAGE) for page in range(PAGES))


def make(name):
    with open(name, "wb") as file:
        file.write(content(name))


def short(data):
    return "%d:%s" % (len(data), hashlib.sha256(data).hexdigest()[:12])


class ByCtypes:
    """From a handle that dlopen gave, and from the program's own (CDLL(None))."""

    def __init__(self, handle):
        self.libc = ctypes.CDLL(handle, use_errno=True)
        for name in ("pread", "pwrite", "read", "write"):
            getattr(self.libc, name).restype = ctypes.c_ssize_t
        self.libc.lseek.restype = ctypes.c_int64

    def pread(self, fd, count, offset):
        buffer = ctypes.create_string_buffer(count)
        done = self.libc.pread(fd, buffer, ctypes.c_size_t(count), ctypes.c_int64(offset))
        return buffer.raw[:done] if done >= 0 else -ctypes.get_errno()

    def read(self, fd, count):
        buffer = ctypes.create_string_buffer(count)
        done = self.libc.read(fd, buffer, ctypes.c_size_t(count))
        return buffer.raw[:done] if done >= 0 else -ctypes.get_errno()

    def pwrite(self, fd, data, offset):
        return self.libc.pwrite(fd, data, ctypes.c_size_t(len(data)), ctypes.c_int64(offset))

    def lseek(self, fd, offset, whence):
        return self.libc.lseek(fd, ctypes.c_int64(offset), whence)

    def call(self, name, *arguments):
        return getattr(self.libc, name)(*arguments)


class ByCffi:
    def __init__(self, handle):
        self.ffi = cffi.FFI()
        self.ffi.cdef(
            """
            ssize_t pread(int, void *, size_t, int64_t); ssize_t pwrite(int, const void *, size_t, int64_t);
            ssize_t read(int, void *, size_t); int64_t lseek(int, int64_t, int);
            int dup2(int, int); int dup3(int, int, int); int close(int); int fcntl(int, int, ...);
            int ftruncate(int, int64_t); int fallocate(int, int, int64_t, int64_t); int fsync(int);
            """
        )
        self.libc = self.ffi.dlopen(handle)

    def pread(self, fd, count, offset):
        buffer = self.ffi.new("char[]", count)
        done = self.libc.pread(fd, buffer, count, offset)
        return bytes(self.ffi.buffer(buffer, done)) if done >= 0 else -self.ffi.errno

    def read(self, fd, count):
        buffer = self.ffi.new("char[]", count)
        done = self.libc.read(fd, buffer, count)
        return bytes(self.ffi.buffer(buffer, done)) if done >= 0 else -self.ffi.errno

    def pwrite(self, fd, data, offset):
        return self.libc.pwrite(fd, data, len(data), offset)

    def lseek(self, fd, offset, whence):
        return self.libc.lseek(fd, offset, whence)

    def call(self, name, *arguments):
        if name == "fcntl":
            arguments = arguments[:2] + (self.ffi.cast("int", arguments[2]),)
        return getattr(self.libc, name)(*arguments)


def use(fd):
    """Until it is served, whatever rule decides."""
    for index in range(64):
        os.pread(fd, PAGE, index % 100 * PAGE)
        os.pwrite(fd, os.pread(fd, PAGE, index % 100 * PAGE), index % 100 * PAGE)


def try_all(libc, tag):
    one, two = "one-" + tag, "two-" + tag
    make(one)
    make(two)
    a, b = os.open(one, os.O_RDWR), os.open(two, os.O_RDWR)
    use(a)
    use(b)
    fortieth = content(one)[40 * PAGE : 41 * PAGE]
    print("reads", short(libc.pread(a, 5000, 12345)), libc.pread(a, PAGE, 40 * PAGE) == fortieth)
    print("seeks", libc.lseek(a, 7777, os.SEEK_SET), short(libc.read(a, 6000)), os.lseek(a, 0, os.SEEK_CUR))
    print("writes", libc.pwrite(a, b"W" * 6000, 20_000), short(os.pread(a, 8000, 19_000)))
    print("written", short(libc.pread(a, 9000, 18_000)))
    size = PAGE * PAGES
    print("end", libc.pread(a, 100, size), short(libc.pread(a, 9000, size - 1000)), libc.pread(a, 1, -1))

    # b's number now means one: reads and writes have to go there.
    print("dup2", libc.call("dup2", a, b) == b)
    print(os.pread(b, PAGE, 50 * PAGE) == content(one)[50 * PAGE : 51 * PAGE])
    print(os.pwrite(b, b"into one" * 600, 60 * PAGE))
    print(short(os.pread(a, 4800, 60 * PAGE)), short(libc.pread(b, 9000, 60 * PAGE)))
    with open(two, "rb") as file:
        file.seek(60 * PAGE)
        print("two is as it was", file.read(4800) == content(two)[60 * PAGE : 60 * PAGE + 4800])

    c = os.open(two, os.O_RDWR)
    use(c)
    print("dup3", libc.call("dup3", c, b, os.O_CLOEXEC) == b)
    print(os.pread(b, PAGE, 3 * PAGE) == content(two)[3 * PAGE : 4 * PAGE])
    print("close", libc.call("close", c), libc.pread(c, 10, 0))
    d = os.open(one, os.O_RDWR)
    print(d == c, short(os.pread(d, PAGE, 30 * PAGE)), os.pwrite(d, b"d" * 700, 30 * PAGE))
    print(short(libc.pread(a, 900, 30 * PAGE)))

    # Every write to b is an append from here on, wherever it says.
    print("O_APPEND", libc.call("fcntl", b, 4, os.O_APPEND | os.O_RDWR), os.write(b, b"appended" * 100))
    print(os.fstat(b).st_size, short(os.pread(b, 9000, PAGE * PAGES - 100)))

    print("ftruncate", libc.call("ftruncate", a, 100_000), short(os.pread(a, 9000, 95_000)), os.pread(a, 10, 100_000))
    print("fallocate", libc.call("fallocate", a, 0, 0, 300_000), short(os.pread(a, 9000, 95_000)), os.fstat(a).st_size)
    hole = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    print("hole", libc.call("fallocate", a, hole, 8192, 16384), short(os.pread(a, 30_000, 0)), libc.call("fsync", a))
    for fd in (a, b, d):
        os.close(fd)
    for name in (one, two):
        with open(name, "rb") as file:
            print(name, short(file.read()))


try_all(ByCtypes("libc.so.6"), "ctypes")
try_all(ByCtypes(None), "ctypes-self")
try_all(ByCffi("libc.so.6"), "cffi")
try_all(ByCffi(None), "cffi-self")

# Last, since it stays: all memory locked, as databases do it by JNA. A served read must not fill a file's holes then.
with open("sparse", "wb") as file:
    file.truncate(64 << 20)
    file.seek(32 << 20)
    file.write(content("sparse"))
fd = os.open("sparse", os.O_RDWR)
for index in range(64):
    os.pread(fd, PAGE, (32 << 20) + index * PAGE)
libc = ctypes.CDLL("libc.so.6", use_errno=True)
print("mlockall", libc.mlockall(3), short(os.pread(fd, 50_000, (32 << 20) - 1000)), os.fstat(fd).st_blocks)
print("munlockall", libc.munlockall(), short(os.pread(fd, 50_000, (32 << 20) + 1000)), os.fstat(fd).st_blocks)
