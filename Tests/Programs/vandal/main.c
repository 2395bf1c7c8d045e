// vandal --library SO [options]: see vandal.h, and docs/vandal.md.
#include "vandal.h"

#include <getopt.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

struct setting setting = {.seconds = 20, .at_once = 4};

static const char usage[] =
    "usage: vandal --library LIBPMEMSHIM.SO [options]\n"
    "Runs programs of every kind under the shim, several at a time, and damages the files of its runtime directory,\n"
    "its log and the small tmpfs they lie on all the while. Each program must say what it says natively, and end so.\n"
    "  --seconds N     (default 20; what is running then is waited for)\n"
    "  --seed N        (default: from the clock; printed)\n"
    "  --programs DIR  of Tests/Programs (default: where vandal is)\n"
    "  --at-once N     programs at a time (default 4)\n"
    "  --only NAME     of the programs only this one\n"
    "  --harmless      no damage is done\n"
    "Exit status: 0 nothing differed, 1 something did, 2 could not run (77: may not mount).\n"
    "All is done in a mount and process namespace of its own: nothing is left, however it ends.\n";

static char place[64];
static volatile pid_t inside;

// What was mounted is mounted in this namespace only, which the first process shares with this one.
static void clean(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/run", place);
    if (inside > 0) {
        umount2(path, MNT_DETACH);
        umount2(place, MNT_DETACH);
    }
    rmdir(place);
}

static void on_end(int number)
{
    if (inside > 0) kill(inside, SIGKILL);
    clean();
    signal(number, SIG_DFL);
    raise(number);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return written;
}

// Where this user is not root, as root of a user namespace.
static bool separate(void)
{
    char text[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    setting.root = user == 0;
    if (user == 0) return unshare(CLONE_NEWNS | CLONE_NEWPID) == 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) != 0) return false;
    write_text("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", user);
    if (!write_text("/proc/self/uid_map", text)) return false;
    snprintf(text, sizeof text, "0 %u 1", group);
    return write_text("/proc/self/gid_map", text);
}

static bool make_places(void)
{
    char options[64];
    uint64_t state = setting.seed + 3;
    snprintf(setting.place, sizeof setting.place, "%s", place);
    snprintf(setting.data, sizeof setting.data, "%s/data", place);
    snprintf(setting.out, sizeof setting.out, "%s/out", place);
    snprintf(setting.run, sizeof setting.run, "%s/run", place);
    snprintf(setting.runtime, sizeof setting.runtime, "%s/own", setting.run);
    snprintf(setting.input, sizeof setting.input, "%s/input", setting.data);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    if (mount("proc", "/proc", "proc", 0, NULL) != 0) return false;
    if (mount("vandal", place, "tmpfs", 0, "size=700m,mode=0755") != 0) return false;
    if (mkdir(setting.data, 0755) != 0 || mkdir(setting.out, 0755) != 0 || mkdir(setting.run, 0755) != 0) return false;
    // From what has room for nothing to what has room for all.
    static const char *const sizes[] = {"16k", "400k", "1m", "4m", "4m", "16m"};
    const char *size = setting.harmless ? "400m" : sizes[random_of(&state) % 6];
    snprintf(options, sizeof options, "size=%s,nr_inodes=300,mode=1777", size);
    printf("vandal: seed %llu, %ld s, runtime directory on a tmpfs of %s\n", (unsigned long long)setting.seed,
           setting.seconds, options);
    fflush(stdout);
    if (mount("vandal-run", setting.run, "tmpfs", 0, options) != 0) return false;
    input_make(setting.input);
    return mkdir(setting.runtime, 0700) == 0;
}

// The first process of its namespace: when it ends, so do all others.
static int within(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!make_places()) {
        perror("vandal: cannot mount");
        return 77;
    }
    return siege();
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"library", required_argument, NULL, 'l'}, {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'e'}, {"programs", required_argument, NULL, 'p'},
        {"at-once", required_argument, NULL, 'a'}, {"only", required_argument, NULL, 'o'},
        {"harmless", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
    };
    static char self[PATH_MAX], library[PATH_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    setting.seed = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) % 1000000;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'l': setting.library = realpath(optarg, library); break;
        case 's': setting.seconds = atol(optarg); break;
        case 'e': setting.seed = strtoull(optarg, NULL, 10); break;
        case 'p': setting.programs = realpath(optarg, self); break;
        case 'a': setting.at_once = atoi(optarg); break;
        case 'o': setting.only = optarg; break;
        case 'h': setting.harmless = true; break;
        default: exit(2);
        }
    }
    bool known = setting.only == NULL;
    for (int index = 0; index < workload_count; index++)
        known |= setting.only != NULL && strcmp(workloads[index].name, setting.only) == 0;
    if (setting.programs == NULL && realpath(argv[0], self) != NULL) {
        *strrchr(self, '/') = '\0';
        setting.programs = self;
    }
    if (setting.library == NULL || setting.programs == NULL || setting.seconds < 1 || setting.at_once < 1 ||
        setting.at_once > 64 || optind != argc || !known) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--reader") == 0) return reader_main(argc, argv);
    parse(argc, argv);
    snprintf(place, sizeof place, "/tmp/vandal.XXXXXX");
    if (mkdtemp(place) == NULL) {
        perror(place);
        return 2;
    }
    int status = 77 << 8;
    signal(SIGINT, on_end);
    signal(SIGTERM, on_end);
    signal(SIGHUP, on_end);
    if (separate()) {
        fflush(stdout);
        inside = fork();
        if (inside == 0) {
            signal(SIGINT, SIG_IGN);
            exit(within());
        }
        while (inside > 0 && waitpid(inside, &status, 0) < 0 && errno == EINTR) continue;
    } else {
        perror("vandal: no namespace of its own");
    }
    clean();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
