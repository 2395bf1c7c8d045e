// The file system of a side, changed while it is in use. That is done to it for everybody, so only where the user has
// said that it is the exerciser's own (--own-mount).
#include "exerciser.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

// Where the file system of `directory` is mounted, and what it says of huge=: "never" where it says nothing.
static bool look_up(const char *directory, char *point, size_t point_size, char *huge, size_t huge_size)
{
    struct stat status;
    char line[4096], number[32], root[1024], where[1024];
    bool found = false;
    FILE *in = stat(directory, &status) != 0 ? NULL : fopen("/proc/self/mountinfo", "re");
    snprintf(number, sizeof number, "%u:%u", major(status.st_dev), minor(status.st_dev));
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        char device[32];
        if (sscanf(line, "%*d %*d %31s %1023s %1023s", device, root, where) != 3) continue;
        if (strcmp(device, number) != 0 || strcmp(root, "/") != 0) continue;
        snprintf(point, point_size, "%s", where);
        const char *option = strstr(line, "huge=");
        snprintf(huge, huge_size, "%.*s", option == NULL ? 5 : (int)strcspn(option + 5, ", \n"),
                 option == NULL ? "never" : option + 5);
        found = true;
    }
    if (in != NULL) fclose(in);
    return found;
}

bool mount_set_huge(const char *directory, const char *setting)
{
    char point[1024], was[32], options[64];
    snprintf(options, sizeof options, "huge=%s", setting);
    return look_up(directory, point, sizeof point, was, sizeof was) &&
           mount(NULL, point, NULL, MS_REMOUNT, options) == 0;
}

bool mount_set_synchronous(const char *directory, bool synchronous)
{
    char point[1024], was[32];
    return look_up(directory, point, sizeof point, was, sizeof was) &&
           mount(NULL, point, NULL, MS_REMOUNT | (synchronous ? MS_SYNCHRONOUS : 0), NULL) == 0;
}

// ---- as it was before a sequence

static char found[2][32]; // by side: huge= when the exerciser began

static bool is_memory(const char *directory)
{
    struct side side = {0};
    return side_file_system(&side, directory) && side.memory;
}

void mounts_note(const struct options *options)
{
    const char *directories[2] = {options->served, options->reference};
    char point[1024];
    for (int each = 0; each < 2 && options->own_mount; each++)
        if (!look_up(directories[each], point, sizeof point, found[each], sizeof found[each])) found[each][0] = '\0';
}

void mounts_restore(const struct options *options, const struct sequence *sequence)
{
    const char *directories[2] = {options->served, options->reference};
    for (int each = 0; each < 2 && options->own_mount; each++) {
        bool memory = is_memory(directories[each]);
        if (memory && (sequence->modes & MODE_HUGE) != 0 && found[each][0] != '\0')
            mount_set_huge(directories[each], found[each]);
        if (!memory && (sequence->modes & MODE_SYNC) != 0) mount_set_synchronous(directories[each], false);
    }
}
