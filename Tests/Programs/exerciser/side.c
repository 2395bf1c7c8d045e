// One side of the comparison: a directory, its open descriptors, mappings and streams, and the buffer used by both.
#include "exerciser.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_MAGIC_NUMBER 0x01021994

static bool make_tree(const struct side *side)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/sub", side->directory);
    if (mkdir(path, 0755) != 0) return false;
    snprintf(path, sizeof path, "%s/link", side->directory);
    return symlink("f0", path) == 0 || errno == EPERM; // vfat has none: symlink(2)
}

bool sides_alone(const struct side *a, const struct side *b)
{
    struct statfs system[2];
    struct stat status[2];
    if (!a->strict || !b->strict) return false;
    if (fstat(a->directory_fd, &status[0]) != 0 || fstat(b->directory_fd, &status[1]) != 0 ||
        fstatfs(a->directory_fd, &system[0]) != 0 || fstatfs(b->directory_fd, &system[1]) != 0)
        return false;
    const unsigned long most = (64ul << 20) / PAGE;
    return status[0].st_dev != status[1].st_dev && system[0].f_blocks != 0 && system[0].f_blocks <= most &&
           system[1].f_blocks != 0 && system[1].f_blocks <= most;
}

// tmpfs with huge pages allocates, and so reports holes, as memory happens to allow.
static bool mounted_huge(dev_t device)
{
    FILE *in = fopen("/proc/self/mountinfo", "re");
    char line[4096], number[32];
    bool huge = false;
    snprintf(number, sizeof number, " %u:%u ", (unsigned)(device >> 8 & 0xfff), (unsigned)(device & 0xff));
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strstr(line, number) != NULL && strstr(line, "huge=") != NULL) huge = true;
    if (in != NULL) fclose(in);
    return huge;
}

bool side_file_system(struct side *side, const char *directory)
{
    struct statfs system;
    struct stat status;
    if (stat(directory, &status) != 0 || statfs(directory, &system) != 0) return false;
    side->huge_pages = mounted_huge(status.st_dev);
    side->memory = system.f_type == TMPFS_MAGIC_NUMBER;
    return true;
}

void side_loosen(struct side *side)
{
    side->huge_pages |= side->memory;
    side->strict = side->holes = side->seeks = false;
}

bool side_prepare(struct side *side, const struct calls *calls, const char *label, const char *directory,
                  const char *outside, bool huge, bool create)
{
    memset(side, 0, sizeof *side);
    side->calls = calls;
    side->label = label;
    snprintf(side->directory, sizeof side->directory, "%s", directory);
    snprintf(side->outside, sizeof side->outside, "%s", outside != NULL ? outside : "");
    if (create && !make_tree(side)) return false;
    side->directory_fd = (int)raw_calls.open(0, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (side->directory_fd < 0) return false;
    for (int slot = 0; slot < SLOTS; slot++) side->fd[slot] = -1;
    side->limit = huge ? 7 << 20 : 300 << 10;
    side_file_system(side, directory);
    side->strict = side->memory && !side->huge_pages;
    // Page arrays that are being damaged may call a hole allocated, which a read then fills (docs/limitations.md).
    side->holes = side->seeks = side->strict && getenv("EXERCISER_ARRAYS_DAMAGED") == NULL;
    side->arena_size = (size_t)side->limit + 16 * PAGE;
    // As much again that is no memory: the bad part of a buffer is the exerciser's own to its end. What lies behind it,
    // AddressSanitizer's heap for one, is nobody's to pass to a call.
    unsigned char *memory = mmap(NULL, 2 * side->arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, side->arena_size, PROT_READ | PROT_WRITE) != 0) return false;
    side->arena = memory;
    return true;
}

void side_close_all(struct side *side)
{
    for (int index = 0; index < STREAMS; index++)
        if (side->stream[index] != NULL) fclose(side->stream[index]);
    for (int index = 0; index < MAPS; index++)
        if (side->map[index].address != NULL) side->calls->munmap(side->map[index].address, side->map[index].length);
    for (int slot = 0; slot < SLOTS; slot++)
        if (side->fd[slot] >= 0) side->calls->close(0, side->fd[slot]);
    memset(side->stream, 0, sizeof side->stream);
    memset(side->map, 0, sizeof side->map);
    for (int slot = 0; slot < SLOTS; slot++) side->fd[slot] = -1;
}

int side_fd(const struct side *side, unsigned slot)
{
    if (slot < SLOTS) return side->fd[slot];
    return slot == SLOT_UNUSED ? 999999 : -1;
}

// Direct writes beside buffered ones: measured on ext4 (Linux 6.18), the kernel alone sometimes shows zeros where the
// buffered bytes were, two runs of the same sequence differ.
int side_flags(const struct side *side, int flags)
{
    return side->memory || (flags & O_ACCMODE) == O_RDONLY ? flags : flags & ~O_DIRECT;
}

void side_path(const struct side *side, unsigned name, unsigned variant, char *out, size_t size)
{
    const char *dots = variant % 4 == 3 ? "sub/../" : variant % 4 == 2 ? "./" : "";
    if (name == NAMES - 1 && side->outside[0] != '\0') {
        snprintf(out, size, "%s/f%u", side->outside, name);
    } else if (name == NAMES - 2) {
        snprintf(out, size, "%s/%slink", side->directory, dots);
    } else {
        snprintf(out, size, "%s/%s%sf%u", side->directory, dots, name >= NAMES - 3 ? "sub/" : "", name);
    }
}

void side_two_paths(const struct side *side, const struct op *op, unsigned variant, struct two_paths *paths)
{
    side_path(side, op->name, variant, paths->from, sizeof paths->from);
    side_path(side, op->to, 0, paths->to, sizeof paths->to);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

void pattern_fill(unsigned char *bytes, size_t length, uint32_t pattern)
{
    uint64_t state = mix(pattern + 1);
    size_t index = 0;
    for (; index + 8 <= length; index += 8) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t word = state ^ (state >> 29);
        memcpy(bytes + index, &word, 8);
    }
    for (; index < length; index++) bytes[index] = (unsigned char)(pattern + index * 7);
}

unsigned char *side_buffer(struct side *side, const struct op *op, size_t length, struct result *result)
{
    if (length > side->arena_size - 4 * MARGIN - PAGE) length = side->arena_size - 4 * MARGIN - PAGE;
    unsigned char *border = side->arena + side->arena_size;
    unsigned char *start = op->align == ALIGN_EDGE ? border - length : side->arena + PAGE + op->align;
    size_t usable = length;
    if (op->fault == FAULT_HALF) {
        usable = length / 2;
        start = border - usable;
    }
    if (op->fault == FAULT_GIANT) usable = side->arena_size - PAGE - op->align, start = side->arena + PAGE + op->align;
    unsigned char *low = start - MARGIN;
    unsigned char *high = start + usable + MARGIN;
    if (high > border) high = border;
    memset(low, 0xa5, (size_t)(high - low));
    if ((kind_of(op)->traits & FILLS) != 0) pattern_fill(start, usable, op->pattern);
    result->bytes = low;
    result->bytes_length = (size_t)(high - low);
    if (op->fault == FAULT_WHOLE) return border;
    return op->fault == FAULT_NULL ? NULL : start;
}

void result_set(struct result *result, int64_t ret)
{
    result->ret = ret;
    result->err = ret < 0 ? errno : 0;
}

bool slot_stat(const struct side *side, unsigned slot, struct stat *status)
{
    int fd = side_fd(side, slot);
    return fd >= 0 && fstat(fd, status) == 0;
}

bool name_stat(const struct side *side, unsigned name, struct stat *status)
{
    char path[1024];
    side_path(side, name, 0, path, sizeof path);
    return stat(path, status) == 0;
}

// ---- faults in mappings of our own

static sigjmp_buf *volatile recovery;

static void on_fault(int number)
{
    if (recovery != NULL) siglongjmp(*recovery, number);
    // Not ours: die of it, as the program would have without this handler.
    signal(number, SIG_DFL);
}

void guards_install(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = 0};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int guarded(void (*body)(void *), void *argument)
{
    sigjmp_buf here;
    int number = sigsetjmp(here, 1);
    if (number == 0) {
        recovery = &here;
        body(argument);
    }
    recovery = NULL;
    return number;
}

size_t copy_forward(volatile unsigned char *to, const volatile unsigned char *from, size_t length,
                    volatile size_t *progress)
{
    while (*progress < length) {
        to[*progress] = from[*progress];
        *progress += 1;
    }
    return *progress;
}

struct copy {
    unsigned char *to;
    const unsigned char *from;
    size_t length;
    volatile size_t done;
};

static void copy_body(void *argument)
{
    struct copy *copy = argument;
    copy_forward(copy->to, copy->from, copy->length, &copy->done);
}

int copy_guarded(unsigned char *to, const unsigned char *from, size_t length, int64_t *done)
{
    struct copy copy = {.to = to, .from = from, .length = length};
    int signal = guarded(copy_body, &copy);
    *done = (int64_t)copy.done;
    return signal;
}
