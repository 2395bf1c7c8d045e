// Functions of libc's that were not bound by the linker but asked for, in every way there is to ask, and then used so
// that a served call would go wrong if the use had not been seen. One case is one way; each uses all functions.
#include <dlfcn.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "process.h"

// ---- ways to ask -------------------------------------------------------------------------------------------------
static void *libc, *library;
static void *(*ask)(const char *name);

static void *by_libc(const char *name) { return dlsym(libc, name); }

static const char *const versions[] = {"GLIBC_2.2.5", "GLIBC_2.3.4", "GLIBC_2.4",
                                       "GLIBC_2.9",   "GLIBC_2.10",  "GLIBC_2.34"};
enum { VERSIONS = sizeof versions / sizeof *versions };

static void *by_version(const char *name)
{
    void *found = NULL;
    for (int i = VERSIONS - 1; i >= 0 && !found; i--)
        found = dlvsym(libc, name, versions[i]);
    return found;
}
static void *by_oldest_version(const char *name)
{
    void *found = NULL;
    for (int i = 0; i < VERSIONS && !found; i++)
        found = dlvsym(libc, name, versions[i]);
    return found;
}
static void *by_default(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    __asm__ volatile("" : "+r"(found));
    return found;
}
static void *by_next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    __asm__ volatile("" : "+r"(found));
    return found;
}

static void *(*library_next)(const char *name);
static void *(*library_versioned)(const char *name, const char *version);
static void *by_library_version(const char *name)
{
    void *found = NULL;
    for (int i = 0; i < VERSIONS && !found; i++)
        found = library_versioned(name, versions[i]);
    return found;
}

// What asks for dlsym first, and then uses that. Before glibc 2.34 it is in a library beside libc.
static void *by_itself(const char *name)
{
    void *found = dlsym(libc, "dlsym");
    if (!found)
        found = dlsym(dlopen("libdl.so.2", RTLD_NOW), "dlsym");
    return ((void *(*)(void *, const char *))found)(libc, name);
}

#define GET(name) ((__typeof__(&name))get(#name))
static void *get(const char *name)
{
    errno = UNTOUCHED;
    void *found = ask(name);
    int error = errno;
    const char *message = dlerror();
    say("-- %s: %s%s%s", name, found ? "found" : "not found", error == UNTOUCHED ? "" : ", errno changed",
        message ? ", error" : "");
    if (!found)
        die(name);
    return found;
}

// ---- what is done with them ----------------------------------------------------------------------------------------
static int first(void) { return numbered(open_file("one", 1, O_RDWR), 300); }
static int second(void) { return numbered(open_file("two", 2, O_RDWR), 400); }

static void overwrite(int fd)
{
    fill(buffer, generation++, 0, 8192);
    for (int i = 0; i < 3; i++)
        CALL(pwrite(fd, buffer, 4096, 65536 + i * 4096));
    truth("one");
    truth("two");
}

// The number 300 once more, in hiding.
static void again(int two)
{
    look("closed", 300);
    if (raw(SYS_dup3, two, 300, O_CLOEXEC, 0, 0, 0) != 300)
        die("dup3");
    look("file two", 300);
    overwrite(300);
    raw(SYS_close, 300, 0, 0, 0, 0, 0);
}

static void replaces_and_closes(void)
{
    int one = first(), two = second();
    CALL(GET(dup2)(two, one) >= 0);
    look("replaced", one);
    overwrite(one);
    raw(SYS_close, one, 0, 0, 0, 0, 0);
    one = first();
    CALL(GET(dup3)(two, one, O_CLOEXEC) >= 0);
    look("replaced", one);
    overwrite(one);
    raw(SYS_close, one, 0, 0, 0, 0, 0);
    one = first();
    CALL(GET(close)(one));
    again(two);
    one = first();
    CALL(GET(syscall)(SYS_close, one));
    again(two);
    one = first();
    int (*close_range)(unsigned, unsigned, int) = (int (*)(unsigned, unsigned, int))ask("close_range"); // since 2.34
    say("-- close_range: %s", close_range ? "found" : dlerror() ? "not found" : "no error");
    if (close_range)
        CALL(close_range((unsigned)one, (unsigned)one, 0));
    else
        raw(SYS_close, one, 0, 0, 0, 0, 0);
    again(two);
    FILE *stream = fdopen(first(), "r+");
    CALL(GET(fclose)(stream));
    again(two);
    raw(SYS_close, two, 0, 0, 0, 0, 0);
}

static long blocks_of(int fd)
{
    struct stat facts = {0};
    raw(SYS_fstat, fd, (long)&facts, 0, 0, 0, 0);
    return facts.st_blocks;
}

static void changes(void)
{
    int one = first();
    CALL(GET(fcntl)(one, F_SETFL, O_APPEND));
    overwrite(one);
    raw(SYS_close, one, 0, 0, 0, 0, 0);

    one = first();
    CALL(GET(fallocate)(one, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 << 20));
    raw(SYS_fsync, one, 0, 0, 0, 0, 0); // space that is given late, on ext4, is there now
    long blocks = blocks_of(one);
    for (int i = 0; i < 100; i++)
        if (pread(one, buffer, 4096, i * 8192l) != 4096 || buffer[0] || buffer[4095])
            say("no hole at %d", i);
    say("  as many blocks after the hole was read: %d", blocks_of(one) == blocks);
    raw(SYS_close, one, 0, 0, 0, 0, 0);

    one = first();
    CALL(GET(ftruncate)(one, 50000));
    CALL(pread(one, buffer, 8192, 40960));
    CALL(pread(one, buffer, 8192, 65536));
    overwrite(one);
    raw(SYS_close, one, 0, 0, 0, 0, 0);
}

static void limits(void)
{
    struct rlimit before, limit = {50000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    int one = first();
    raw(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&before, 0, 0);
    limit.rlim_max = before.rlim_max;
    CALL(GET(setrlimit)(RLIMIT_FSIZE, &limit));
    errno = 0;
    for (int i = 0; i < 3; i++)
        say("  pwrite %ld %s", (long)pwrite(one, buffer, 4096, 65536), strerrorname_np(errno));
    raw(SYS_prlimit64, 0, RLIMIT_FSIZE, (long)&before, 0, 0, 0);
    raw(SYS_close, one, 0, 0, 0, 0, 0);
}

// A file whose space is one page: all of its windows that were locked into memory would be filled.
static void locks(void)
{
    int one = first();
    raw(SYS_fallocate, one, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4 << 20, 0, 0);
    warm(one);
    raw(SYS_fsync, one, 0, 0, 0, 0, 0);
    long blocks = blocks_of(one);
    CALL(GET(mlockall)(1 /* MCL_CURRENT */));
    say("  nothing was filled: %d", blocks_of(one) == blocks);
    CALL(GET(munlockall)());
    raw(SYS_close, one, 0, 0, 0, 0, 0);
}

static void on_fault(int number) { say("a fault in a call: %d", number); fflush(stdout); _exit(3); }

static void signals(void)
{
    int one = first();
    struct sigaction action = {.sa_handler = on_fault}, old;
    CALL(GET(sigaction)(SIGBUS, &action, NULL));
    CALL(GET(sigaction)(SIGSEGV, &action, NULL));
    raw(SYS_ftruncate, one, 8192, 0, 0, 0, 0);
    CALL(pread(one, buffer, 4096, 1 << 20));
    CALL(pread(one, (void *)16, 4096, 0));
    CALL(GET(sigaction)(SIGBUS, NULL, &old));
    say("  the handler is the program's: %d", old.sa_handler == on_fault);
    raw(SYS_close, one, 0, 0, 0, 0, 0);
}

static void use_all(void *(*way)(const char *))
{
    ask = way;
    if (!libc && !(libc = dlopen("libc.so.6", RTLD_NOW)))
        die("libc");
    say("-- errors");
    say("  %s", dlsym(libc, "no_such_name") ? "found" : dlerror());
    dlsym(libc, "no_such_name");
    way("close");
    say("  forgotten after a success: %d", dlerror() == NULL);
    say("  %s", dlvsym(libc, "close", "GLIBC_9.9") ? "found" : dlerror());
    say("  %s", dlvsym(RTLD_DEFAULT, "close", "GLIBC_9.9") ? "found" : "not found");
    dlerror();
    replaces_and_closes();
    changes();
    limits();
    if (!getenv("ASAN_OPTIONS")) // the sanitizer's terabytes would be locked
        locks();
    signals(); // last: without virtual signals it ends here
}

// ---- cases ----------------------------------------------------------------------------------------------------------
static void handle_of_libc(void) { use_all(by_libc); }
static void versions_newest(void) { use_all(by_version); }
static void versions_oldest(void) { use_all(by_oldest_version); }
static void the_default(void) { use_all(by_default); }
static void the_next(void) { use_all(by_next); }
static void asked_for_dlsym(void) { use_all(by_itself); }

static void handle_of_libm(void)
{
    if (!(libc = dlopen("libm.so.6", RTLD_NOW)))
        die("libm");
    use_all(by_libc);
}

static void handle_of_program(void)
{
    libc = dlopen(NULL, RTLD_NOW);
    use_all(by_libc);
}

// Starts this program once more with `name` in LD_PRELOAD as well, in front of all that is there or behind it.
static void preloading(const char *name, bool in_front, const char *way)
{
    char self[PATH_MAX], list[2 * PATH_MAX + 64], path[PATH_MAX + 32];
    const char *there = getenv("LD_PRELOAD");
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        die("self");
    self[length] = 0;
    snprintf(path, sizeof path, "%s/%s", programs_directory, name);
    snprintf(list, sizeof list, "%s%s%s", in_front ? path : there ? there : "", there ? ":" : "",
             in_front ? there ? there : "" : path);
    setenv("LD_PRELOAD", list, 1);
    fflush(stdout);
    execl(self, self, way, ".", NULL);
    die("exec");
}

static void use_library(void)
{
    library_next = (void *(*)(const char *))dlsym(RTLD_DEFAULT, "asking_next");
    library_versioned = (void *(*)(const char *, const char *))dlsym(RTLD_DEFAULT, "asking_next_version");
    if (!library_next || !library_versioned)
        die("the library is not there");
    use_all(library_next);
    use_all(by_library_version);
    library_versioned = (void *(*)(const char *, const char *))dlsym(RTLD_DEFAULT, "asking_default_version");
    use_all(by_library_version);
}
static void library_behind(void) { preloading("asking-library.so", false, "use-library"); }
static void library_in_front(void) { preloading("asking-library.so", true, "use-library"); }

static void library_later(void)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/asking-library.so", programs_directory);
    if (!(library = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        die(dlerror());
    library_next = (void *(*)(const char *))dlsym(library, "asking_next");
    library_versioned = (void *(*)(const char *, const char *))dlsym(library, "asking_next_version");
    use_all(library_next);
    use_all(by_library_version);
}

// Another wrapper of close: each is called once, whichever stands in front.
static void use_wrapper(void)
{
    int (*calls)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "wrapping_calls");
    int (*depth)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "wrapping_depth");
    if (!calls || !depth)
        die("the library is not there");
    libc = dlopen("libc.so.6", RTLD_NOW);
    for (int i = 0; i < 3; i++) {
        int one = first(), two = second(), before = calls();
        CALL(close(one));
        say("  wrapped %d times, %d deep", calls() - before, depth());
        again(two);
        one = first();
        before = calls();
        CALL(((int (*)(int))dlsym(libc, "close"))(one));
        say("  by handle wrapped %d times, %d deep", calls() - before, depth());
        again(two);
        one = first();
        CALL(((int (*)(int))dlsym(RTLD_DEFAULT, "close"))(one));
        again(two);
        raw(SYS_close, two, 0, 0, 0, 0, 0);
    }
    use_all(by_libc);
}
static void wrapper_behind(void) { preloading("wrapping-library.so", false, "use-wrapper"); }
static void wrapper_in_front(void) { preloading("wrapping-library.so", true, "use-wrapper"); }
static void by_handle(void) { setenv("WRAPPING_BY_HANDLE", "1", 1); }
static void handle_wrapper_behind(void) { by_handle(), wrapper_behind(); }
static void handle_wrapper_in_front(void) { by_handle(), wrapper_in_front(); }

// Every name that the shim exports, from a list: by libc's handle it is the one that the linker would have bound.
static void every_name(void)
{
    char name[128];
    int found = 0;
    libc = dlopen("libc.so.6", RTLD_NOW);
    while (scanf("%127s", name) == 1) {
        void *bound = by_default(name), *handle = by_libc(name);
        found += bound != NULL;
        if (bound != handle)
            say("%s: another by libc's handle", name);
    }
    fprintf(stderr, "%d names\n", found);
}

PROGRAM({"libc", handle_of_libc}, {"libm", handle_of_libm}, {"program", handle_of_program}, {"newest", versions_newest},
        {"oldest", versions_oldest}, {"default", the_default}, {"next", the_next}, {"dlsym", asked_for_dlsym},
        {"library-behind", library_behind}, {"library-in-front", library_in_front}, {"library-later", library_later},
        {"use-library", use_library}, {"wrapper-behind", wrapper_behind}, {"wrapper-in-front", wrapper_in_front},
        {"handle-wrapper-behind", handle_wrapper_behind}, {"handle-wrapper-in-front", handle_wrapper_in_front},
        {"use-wrapper", use_wrapper}, {"every-name", every_name})
