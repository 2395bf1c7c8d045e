// All kinds of operation, by index and by name.
#include "exerciser.h"

#include <string.h>

static const struct group *const groups[] = {
    &data_group, &descriptor_group, &name_group, &size_group, &map_group, &stdio_group, &lock_group, &process_group,
    &outside_group, &thread_group, &fork_group, &exec_group, &kill_group, &truncation_group, &fault_group,
    &jump_group, &vector_group, &count_group, &handle_group, &runtime_group, &huge_group, &seal_group, &sync_group,
    &aio_group,
};

// Groups from this one on are modes, in the order of `enum mode`.
enum { FIRST_MODE = 9 };

const struct kind *kind_at(size_t index)
{
    for (size_t group = 0; group < sizeof groups / sizeof *groups; group++) {
        if (index < groups[group]->count) return &groups[group]->kinds[index];
        index -= groups[group]->count;
    }
    return NULL;
}

const struct kind *kind_of(const struct op *op)
{
    return kind_at(op->kind);
}

int kind_named(const char *name)
{
    const struct kind *kind;
    for (int index = 0; (kind = kind_at((size_t)index)) != NULL; index++)
        if (strcmp(kind->name, name) == 0) return index;
    return -1;
}

bool kind_is(const struct kind *kind, const char *name)
{
    const char *own = strncmp(kind->name, "handle-", 7) == 0 ? kind->name + 7 : kind->name;
    return strcmp(own, name) == 0;
}

unsigned kind_mode(size_t index)
{
    size_t group = 0;
    for (; group < sizeof groups / sizeof *groups && index >= groups[group]->count; group++)
        index -= groups[group]->count;
    return group < FIRST_MODE ? 0 : 1u << (group - FIRST_MODE);
}
