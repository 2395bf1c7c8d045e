// The second process: executed anew without any preload, commanded in lock step through a pair of pipes.
#include "exerciser.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

struct request {
    int side; // 0 served, 1 reference, 2 compare both directories
    struct op op;
    struct place place;
};

struct reply {
    struct result result;
    bool differs;
    char message[1024];
};

static bool transfer(int fd, void *bytes, size_t length, bool out)
{
    for (size_t done = 0; done < length;) {
        char *rest = (char *)bytes + done;
        ssize_t moved = out ? write(fd, rest, length - done) : read(fd, rest, length - done);
        if (moved < 0 && errno == EINTR) continue;
        if (moved <= 0) return false;
        done += (size_t)moved;
    }
    return true;
}

bool helper_start(struct helper *helper, const struct side *served, const struct side *reference, bool huge)
{
    int to[2], from[2];
    char *clean[512];
    size_t kept = 0;
    for (char **each = environ; *each != NULL && kept < 511; each++)
        if (strncmp(*each, "LD_PRELOAD=", 11) != 0 && strncmp(*each, "PMEMSHIM_", 9) != 0) clean[kept++] = *each;
    clean[kept] = NULL;
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    char *arguments[] = {
        "exerciser", "--internal-helper", (char *)served->directory, (char *)served->outside,
        (char *)reference->directory, (char *)reference->outside, huge ? "1" : "0", served->own_mount ? "1" : "0", NULL,
    };
    int error = posix_spawn(&helper->pid, "/proc/self/exe", &actions, NULL, arguments, clean);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    helper->to = to[1];
    helper->from = from[0];
    return error == 0;
}

bool helper_begin(struct helper *helper, int side, const struct op *op, const struct place *place)
{
    struct request request = {.side = side, .op = *op, .place = *place};
    char begun;
    // On a busy machine it might otherwise begin when all is over.
    return transfer(helper->to, &request, sizeof request, true) && transfer(helper->from, &begun, 1, false);
}

bool helper_end(struct helper *helper, struct result *result)
{
    struct reply reply;
    if (!transfer(helper->from, &reply, sizeof reply, false)) return false;
    *result = reply.result;
    // Pointers of that process mean nothing here.
    result->bytes = NULL;
    result->bytes_length = 0;
    result->wrong = NULL;
    return true;
}

bool helper_run(struct helper *helper, int side, const struct op *op, const struct place *place,
                struct result *result)
{
    struct request request = {.side = side, .op = *op, .place = *place};
    return transfer(helper->to, &request, sizeof request, true) && helper_end(helper, result);
}

bool helper_compare(struct helper *helper, char *message, size_t size)
{
    struct request request = {.side = 2};
    struct reply reply;
    if (!transfer(helper->to, &request, sizeof request, true) ||
        !transfer(helper->from, &reply, sizeof reply, false)) {
        snprintf(message, size, "the second process is gone");
        return false;
    }
    snprintf(message, size, "%s", reply.message);
    return !reply.differs;
}

// ---- in the helper

static size_t whole(int fd, unsigned char *buffer, size_t room)
{
    size_t done = 0;
    ssize_t got;
    while (done < room && (got = read(fd, buffer + done, room - done)) > 0) done += (size_t)got;
    return done;
}

static bool name_differs(const struct side *a, const struct side *b, unsigned name, char *message, size_t size)
{
    char path[1024];
    int fds[2];
    size_t lengths[2];
    const struct side *sides[2] = {a, b};
    for (int each = 0; each < 2; each++) {
        side_path(sides[each], name, 0, path, sizeof path);
        fds[each] = open(path, O_RDONLY | O_CLOEXEC);
        lengths[each] = fds[each] < 0 ? 0 : whole(fds[each], sides[each]->arena, sides[each]->arena_size);
        if (fds[each] >= 0) close(fds[each]);
    }
    if ((fds[0] < 0) != (fds[1] < 0)) {
        snprintf(message, size, "name %u exists on the %s side only", name, fds[0] < 0 ? b->label : a->label);
        return true;
    }
    size_t same = lengths[0] < lengths[1] ? lengths[0] : lengths[1];
    for (size_t index = 0; index < same; index++) {
        if (a->arena[index] == b->arena[index]) continue;
        snprintf(message, size, "name %u read by the second process: byte %zu is 0x%02x, reference 0x%02x", name, index,
                 a->arena[index], b->arena[index]);
        return true;
    }
    if (lengths[0] == lengths[1]) return false;
    snprintf(message, size, "name %u: %zu bytes, reference %zu", name, lengths[0], lengths[1]);
    return true;
}

bool directories_compare(const struct side *a, const struct side *b, char *message, size_t size)
{
    for (unsigned name = 0; name < NAMES; name++)
        if (name_differs(a, b, name, message, size)) return false;
    return true;
}

bool in_helper;

int helper_main(int argc, char **argv)
{
    static struct side sides[2];
    in_helper = true;
    struct request request;
    if (argc != 8) return STATUS_USAGE;
    bool huge = argv[6][0] == '1';
    guards_install();
    if (!side_prepare(&sides[0], &raw_calls, "served", argv[2], argv[3], huge, false) ||
        !side_prepare(&sides[1], &raw_calls, "reference", argv[4], argv[5], huge, false))
        return STATUS_USAGE;
    sides[0].own_mount = sides[1].own_mount = argv[7][0] == '1';
    while (transfer(0, &request, sizeof request, false)) {
        struct reply reply = {.differs = false};
        if (request.side < 2) {
            char begun = 'b';
            if ((kind_of(&request.op)->traits & BESIDE) != 0 && !transfer(1, &begun, 1, true)) break;
            kind_of(&request.op)->run(&sides[request.side], &request.op, &request.place, &reply.result);
        } else {
            reply.differs = !directories_compare(&sides[0], &sides[1], reply.message, sizeof reply.message);
        }
        if (!transfer(1, &reply, sizeof reply, true)) break;
    }
    return STATUS_EQUAL;
}
