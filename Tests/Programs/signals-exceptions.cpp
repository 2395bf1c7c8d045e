// C++ exceptions thrown by signal handlers, through the calls they interrupted.
#include <csetjmp>
#include <new>
#include <stdexcept>

extern "C" {
#include "storm.h"
}

namespace {

struct Alarm {};
volatile sig_atomic_t armed;
volatile long thrown, destroyed, wrong;
unsigned char buffer[300000];
int fd;

// Destroyed by the unwinder: it must have found its way through the frames of the call.
struct Witness {
    ~Witness() { destroyed = destroyed + 1; }
};

void raise_alarm(int)
{
    if (!armed)
        return;
    armed = 0;
    thrown = thrown + 1;
    throw Alarm();
}

// Nothing to clean up here: an exception may come at any instruction, of which no table could tell.
__attribute__((noinline)) ssize_t interrupted_call(int kind, size_t count, long at)
{
    ssize_t result;
    armed = 1;
    switch (kind) {
    case 0: result = pread(fd, buffer, count, at); break;
    case 1: result = pwrite(fd, buffer, count, at); break;
    case 2: result = read(fd, buffer, count); break;
    default: result = write(fd, buffer, count);
    }
    armed = 0;
    return result;
}

__attribute__((noinline)) void work(int kind, long i)
{
    Witness witness;
    long at = i * 4099 % (4 << 20);
    size_t count = i % 16 == 0 ? 300000 : 9000;
    if (kind >= 2)
        lseek(fd, at, SEEK_SET);
    if (interrupted_call(kind, count, at) != ssize_t(count))
        wrong = wrong + 1;
}

void exceptions_out_of_calls()
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    struct sigaction action = {};
    action.sa_handler = raise_alarm;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGALRM, &action, nullptr);
    for (int kind = 0; kind < 4; kind++) {
        thrown = 0;
        destroyed = 0;
        long caught = 0, calls = 0;
        timer_t timer = storm_begin(SIGALRM, 100000);
        for (long i = 0; thrown < 150; i++) {
            calls++;
            try {
                work(kind, i);
            } catch (const Alarm &) {
                caught++;
            }
        }
        storm_end(timer);
        say("caught all %d, destroyed all %d, %ld wrong", caught == thrown, destroyed == calls, long(wrong));
        say("comes and goes: %d", comes_and_goes("other", 300));
    }
    long failed = 0;
    for (long at = 0; at < FILE_SIZE; at += PAGE * 2) {
        long count = FILE_SIZE - at < PAGE * 2 ? FILE_SIZE - at : PAGE * 2;
        fill(buffer, 1, at, count);
        failed += pwrite(fd, buffer, size_t(count), at) != count;
    }
    say("%ld failed", failed);
    truth("file");
}

// A fault of the program's own becomes an exception, as some runtimes have it.
struct NullPointer {};

void fault(int) { throw NullPointer(); }

__attribute__((noinline)) long load(volatile long *from)
{
    Witness witness;
    return *from;
}

void exceptions_from_faults()
{
    fd = open_file("file", 1, O_RDWR);
    struct sigaction action = {};
    action.sa_handler = fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    long caught = 0;
    for (int i = 0; i < 300; i++) {
        try {
            load(reinterpret_cast<long *>(i % 2 ? 0 : 4096));
        } catch (const NullPointer &) {
            caught++;
        }
        if (pread(fd, buffer, 9000, i * PAGE) != 9000 || buffer[8999] != pattern(1, i * PAGE + 8999))
            wrong = wrong + 1;
        errno = 0;
        if (pread(fd, reinterpret_cast<void *>(4096), 9000, i * PAGE) != -1 || errno != EFAULT)
            wrong = wrong + 1;
    }
    say("caught %ld, destroyed %ld, wrong %ld", caught, long(destroyed), long(wrong));
}

} // namespace

PROGRAM({"exceptions-out-of-calls", exceptions_out_of_calls}, {"exceptions-from-faults", exceptions_from_faults})
