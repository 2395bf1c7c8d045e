// process-helper ACTION ARGUMENTS...: what another program does with descriptors it was given, with the shim or
// without.
#include "process.h"

static const char *name;

// FD...: one look at each, with its offset.
static int probe(int count, char **numbers)
{
    for (int i = 0; i < count; i++) {
        int fd = atoi(numbers[i]);
        say("%s probes", name);
        OFFSET(fd);
        look(name, fd);
    }
    return 0;
}

// FD GENERATION STEPS: steps on an inherited descriptor.
static int steps(int count, char **arguments)
{
    if (count < 3)
        return 2;
    generation = atoi(arguments[1]);
    for (int i = 0; i < atoi(arguments[2]); i++)
        step(name, atoi(arguments[0]));
    return 0;
}

// A step for every byte that comes, and an answer to it.
static int follow(int socket, int fd)
{
    char byte;
    while (read(socket, &byte, 1) == 1 && byte == 's') {
        step(name, fd);
        fflush(stdout);
        write(socket, "d", 1);
    }
    return 0;
}

// SOCKET GENERATION: receives a descriptor, and follows.
static int receive(int count, char **arguments)
{
    if (count < 2)
        return 2;
    int socket = atoi(arguments[0]), fd = -1;
    generation = atoi(arguments[1]);
    if (receive_descriptors(socket, &fd, 1, 0) != 1)
        die("nothing received");
    return follow(socket, fd);
}

// SOCKET GENERATION FILE: opens, sends, and follows.
static int send_opened(int count, char **arguments)
{
    if (count < 3)
        return 2;
    int socket = atoi(arguments[0]), fd = open(arguments[2], O_RDWR);
    generation = atoi(arguments[1]);
    warm(fd);
    send_descriptors(socket, &fd, 1);
    return follow(socket, fd);
}

// FD OUT: reads to the end in chunks; writes how many bytes, and the sum of the chunks' hashes.
static int drain(int count, char **arguments)
{
    if (count < 2)
        return 2;
    uint64_t sums[2] = {0, 0};
    long got;
    while ((got = read(atoi(arguments[0]), buffer, 3000)) > 0) {
        sums[0] += hash_of(buffer, (size_t)got);
        sums[1] += (uint64_t)got;
    }
    return write(atoi(arguments[1]), sums, sizeof sums) != sizeof sums;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *action;
        int (*run)(int count, char **arguments);
    } actions[] = {
        {"probe", probe}, {"steps", steps}, {"receive", receive}, {"send", send_opened}, {"drain", drain}};
    name = "the helper";
    for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(argv[1], actions[i].action) == 0)
            return actions[i].run(argc - 2, argv + 2);
    return 2;
}
