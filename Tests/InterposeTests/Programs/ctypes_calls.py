"""Calls of libc's by its own handle, between reads and writes of Python's own that are served."""
import ctypes
import os
import sys

os.chdir(sys.argv[1])
libc = ctypes.CDLL("libc.so.6", use_errno=True)
SIZE = 8 << 20
O_APPEND, F_SETFL, PUNCH = 0o2000, 4, 3


def opened(name, byte):
    with open(name, "wb") as file:
        file.write(byte * SIZE)
    fd = os.open(name, os.O_RDWR)
    for i in range(400):
        os.pread(fd, 4096, i % 200 * 4096)
    return fd


def look(what, fd):
    try:
        print(what, os.pread(fd, 4, 8192))
        print(os.pwrite(fd, what[0].encode() * 4096, 4096), os.pwrite(fd, b"+" * 4096, 65536))
    except OSError as error:
        print(what, error)
    for name in "a", "b":
        with open(name, "rb") as file:
            data = file.read()
        print("  ", name, len(data), data[4096:4100], data[65536:65540], data[SIZE:SIZE + 4])


b = opened("b", b"B")
for call in "dup2", "dup3":
    a = opened("a", b"A")
    print(call, libc.dup2(b, a) == a if call == "dup2" else libc.dup3(b, a, 0) == a)
    look("replaced", a)
    os.close(a)
a = opened("a", b"A")
print("close", libc.close(a))
look("closed", a)
again = os.dup(b)
print("the same number", again == a)
look("reopened", again)
os.close(again)
a = opened("a", b"A")
print("append", libc.fcntl(a, F_SETFL, O_APPEND))
look("appends", a)
os.close(a)
a = opened("a", b"A")
print("punch", libc.fallocate(a, PUNCH, ctypes.c_long(0), ctypes.c_long(1 << 20)))
blocks = os.fstat(a).st_blocks
print("holes", all(os.pread(a, 4096, i * 4096) == bytes(4096) for i in range(256)), os.fstat(a).st_blocks == blocks)
print("cut", libc.ftruncate(a, ctypes.c_long(10000)))
look("is cut", a)
os.close(a)
a = opened("a", b"A")
holes = os.open("holes", os.O_RDWR | os.O_CREAT)
os.ftruncate(holes, 64 << 20)
for i in range(400):
    os.pwrite(holes, b"h" * 4096, 0)
blocks = os.fstat(holes).st_blocks
print("mlockall", libc.mlockall(1) in (0, -1), os.fstat(holes).st_blocks == blocks, libc.munlockall())
look("was locked", a)
