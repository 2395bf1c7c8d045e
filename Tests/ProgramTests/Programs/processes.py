#!/usr/bin/python3
"""Python's subprocess and multiprocessing over files: inherited and shared descriptors, pipes, pools, every start
method."""

import concurrent.futures
import hashlib
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import shared_memory

BLOCK = 8192
BLOCKS = 64


def block(index, version=0):
    return hashlib.shake_256(f"{index} {version}".encode()).digest(BLOCK)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def write_blocks(job):
    """In a worker: rewrites some blocks, each by pwrite, and reads back what it wrote."""
    path, indices, version = job
    fd = os.open(path, os.O_RDWR)
    for index in indices:
        os.pwrite(fd, block(index, version), index * BLOCK)
    good = sum(os.pread(fd, BLOCK, index * BLOCK) == block(index, version) for index in indices)
    os.close(fd)
    return good


def append_lines(path, name, count):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for index in range(count):
        os.write(fd, f"{name} {index:04d} {'x' * 600}\n".encode())
    os.close(fd)


def take_blocks(fd, lock, queue):
    """Workers share one description: each block is taken by exactly one of them."""
    taken = []
    while True:
        with lock:
            data = os.read(fd, BLOCK)
        if not data:
            break
        taken.append(hashlib.sha256(data).hexdigest())
    queue.put(taken)


def update_mapped(path, index):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[index * BLOCK : index * BLOCK + 4] = b"MAP%d" % index


def make(path):
    with open(path, "wb") as file:
        for index in range(BLOCKS):
            file.write(block(index))


def pipes_and_files():
    make("data")
    with open("data", "rb") as file:
        file.seek(3 * BLOCK)
        os.pread(file.fileno(), 100, 0)
        checksum = subprocess.run(["cksum"], stdin=file, capture_output=True, check=True).stdout
        print(checksum, os.lseek(file.fileno(), 0, 1))
    sort = subprocess.Popen(["sort", "-r"], stdin=subprocess.PIPE, stdout=open("sorted", "wb"))
    for index in range(2000):
        sort.stdin.write(b"%d\n" % (index * 7919 % 2000))
    sort.stdin.close()
    print(sort.wait(), digest("sorted"))
    first = subprocess.Popen(["tac", "sorted"], stdout=subprocess.PIPE)
    second = subprocess.Popen(["head", "-n", "5"], stdin=first.stdout, stdout=subprocess.PIPE)
    first.stdout.close()
    print(second.communicate()[0], second.returncode)
    first.wait()
    for close_fds in (True, False):
        fd = os.open("data", os.O_RDWR)
        os.pread(fd, BLOCK, 0)
        os.pwrite(fd, block(1, 5), BLOCK)
        command = (f"import os; os.lseek({fd}, {BLOCK}, 0); print(len(os.read({fd}, {BLOCK}))); "
                   f"os.pwrite({fd}, b'c' * 5000, 20000)")
        child = subprocess.run(
            [sys.executable, "-c", command], pass_fds=(fd,), close_fds=True, capture_output=True, text=True)
        print(child.stdout, child.stderr[-200:], os.lseek(fd, 0, 1), os.pread(fd, 3, 20_000), close_fds)
        child = subprocess.run([sys.executable, "-c", command], close_fds=close_fds, capture_output=True, text=True)
        print(child.returncode, "Bad file descriptor" in child.stderr)
        os.close(fd)
    # A function between fork and exec: no vfork then.
    with open("data", "r+b", buffering=0) as file:
        os.pread(file.fileno(), 100, 0)
        run = subprocess.run(["true"], preexec_fn=lambda: os.pwrite(file.fileno(), b"p" * 700, 5 * BLOCK))
        print(run.returncode, file.seek(5 * BLOCK), file.read(5))
        shell = subprocess.run(["sh", "-c", "cat >&2; exit 9"], stdin=file, stderr=subprocess.PIPE)
        print(shell.returncode, file.read(1))
    try:
        subprocess.run(["no-such-program-at-all"])
    except FileNotFoundError as error:
        print(error.strerror)
    sleeper = subprocess.Popen(["sleep", "100"], stdout=open("unwritten", "wb"))
    try:
        sleeper.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        sleeper.send_signal(signal.SIGKILL)
    print(sleeper.wait(), os.path.getsize("unwritten"), digest("data"))


def pools():
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        make("pool")
        with open("pool", "rb") as before:
            os.pread(before.fileno(), BLOCK, 0)
            with context.Pool(3) as pool:
                jobs = [("pool", range(start, BLOCKS, 8), start + 1) for start in range(8)]
                print(method, pool.map(write_blocks, jobs, chunksize=1))
                print(sum(pool.imap_unordered(write_blocks, jobs)))
            # Seen by a description that is older than all of this.
            print(sum(os.pread(before.fileno(), BLOCK, i * BLOCK) == block(i, i % 8 + 1) for i in range(BLOCKS)))
        print(digest("pool"))
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        print(sum(executor.map(write_blocks, [("pool", [index], 99) for index in range(16)])), digest("pool"))


def shared():
    context = multiprocessing.get_context("fork")
    make("shared")
    fd = os.open("shared", os.O_RDONLY)
    os.pread(fd, BLOCK, 0)
    lock, queue = context.Lock(), context.Queue()
    workers = [context.Process(target=take_blocks, args=(fd, lock, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = [entry for _ in workers for entry in queue.get()]
    for worker in workers:
        worker.join()
    print(len(taken), hashlib.sha256("".join(sorted(taken)).encode()).hexdigest()[:16], os.lseek(fd, 0, 1))
    os.close(fd)

    open("appended", "wb").close()
    workers = [context.Process(target=append_lines, args=("appended", f"w{n}", 60)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with open("appended", "r+b") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines(sorted(lines))
    print(len(lines), {len(line) for line in lines}, digest("appended"))

    workers = [context.Process(target=update_mapped, args=("shared", index)) for index in range(6)]
    for worker in workers:
        worker.start()
        worker.join()
    with open("shared", "rb", buffering=0) as file:
        print([os.pread(file.fileno(), 4, index * BLOCK) for index in range(6)], digest("shared"))

    # A worker is killed in the middle; the others and the parent go on with the file.
    killed = context.Process(target=lambda: [write_blocks(("shared", range(10), 3)) for _ in range(10**6)])
    killed.start()
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    print(killed.exitcode, write_blocks(("shared", range(10), 4)), digest("shared"))
    memory = shared_memory.SharedMemory(create=True, size=BLOCK)
    memory.buf[:BLOCK] = block(7)
    with open("from-memory", "wb", buffering=0) as file:
        print(file.write(memory.buf[:BLOCK]), digest("from-memory"))
    memory.close()
    memory.unlink()


if __name__ == "__main__":
    for part in (pipes_and_files, pools, shared):
        print("==", part.__name__, flush=True)
        part()
        sys.stdout.flush()
    sys.exit(6)
