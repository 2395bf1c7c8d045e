// A process that changes who it is, or where its root and its mounts are, after it has opened and mapped its files:
// what is open stays what it is, and what is opened afterwards is what the kernel says. Each change in a child of its
// own. Needs root, but for the user namespace.
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "process.h"

static int fd, reader, cold, directory;

static void open_all(void)
{
    fd = open_file("file", 1, O_RDWR);
    reader = open("file", O_RDONLY);
    warm(reader);
    cold = open("file", O_RDWR); // learnt and mapped after the change
    directory = open(".", O_RDONLY | O_DIRECTORY);
    if (chmod("file", 0600) != 0 || chmod(".", 0755) != 0)
        die("chmod");
}

static void use_all(const char *path)
{
    step("warm", fd);
    look("reader", reader);
    step("cold", cold);
    step("cold, again", cold);
    int again = OPEN(open(path, O_RDWR));
    if (again >= 0) {
        step("opened by path", again);
        step("opened by path", again);
        close(again);
    }
    again = OPEN(openat(directory, "file", O_RDWR));
    if (again >= 0) {
        step("opened by directory", again);
        step("opened by directory", again);
        close(again);
    }
    again = OPEN(openat(directory, "new", O_RDWR | O_CREAT | O_EXCL, 0600));
    if (again >= 0) {
        for (int i = 0; i < 40; i++) {
            fill(buffer, i, 0, 20000);
            if (write(again, buffer, 20000) < 0)
                die("new");
        }
        step("new", again);
        lseek(again, 4096, SEEK_SET);
        step("new", again);
        close(again);
        CALL(unlinkat(directory, "new", 0));
    }
    close(fd);
    step("cold, the other closed", cold);
}

// In a child, so that the next change begins where this one did.
#define CHANGED(path, ...)                                                                                             \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        pid_t changed_ = fork();                                                                                       \
        if (changed_ == 0) {                                                                                           \
            open_all();                                                                                                \
            __VA_ARGS__;                                                                                               \
            use_all(path);                                                                                             \
            IN_CHILD(step("forked", cold));                                                                            \
            end_child();                                                                                               \
        }                                                                                                              \
        wait_for(changed_);                                                                                            \
        truth("file");                                                                                                 \
    } while (0)

static void users(void)
{
    say("-- seteuid");
    CHANGED("file", CALL(seteuid(65534)));
    say("-- seteuid and back");
    CHANGED("file", CALL(seteuid(65534)); use_all("file"); CALL(seteuid(0)); fd = open("file", O_RDWR); warm(fd));
    say("-- setuid");
    CHANGED("file", CALL(setuid(65534)));
    say("-- setresgid, setresuid");
    CHANGED("file", CALL(setresgid(65534, 65534, 65534)); CALL(setresuid(65534, 65534, 65534)));
    say("-- setfsuid");
    CHANGED("file", CALL(setfsuid(65534)));
    say("-- PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS");
    CHANGED("file", CALL(prctl(PR_SET_DUMPABLE, 0)); CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    say("-- setuid before anything is mapped");
    CHANGED("file", close(fd); close(reader); fd = open("file", O_RDWR); reader = open("file", O_RDONLY);
            CALL(setuid(65534)));
}

static void roots(void)
{
    mkdir("inside", 0755);
    make_file("inside/file", 3, FILE_SIZE); // what a path means after chroot
    say("-- chroot");
    CHANGED("/file", CALL(chroot("inside")); CALL(chdir("/")));
    say("-- chroot, before anything is mapped");
    CHANGED("/file", close(fd); close(reader); fd = open("file", O_RDWR); reader = open("file", O_RDONLY);
            CALL(chroot("inside")); CALL(chdir("/")));
    say("-- chroot out and in");
    CHANGED("/file", CALL(chroot("inside")); use_all("/file"); CALL(fchdir(directory)); CALL(chroot("."));
            fd = open("/file", O_RDWR); warm(fd));
    say("-- chdir, rename of the directory");
    CHANGED("/nowhere", CALL(chdir("inside")); CALL(renameat(directory, "inside", directory, "moved"));
            CALL(renameat(directory, "moved", directory, "inside")));
    truth("inside/file");
    say("-- exec inside is left out: what LD_PRELOAD names is not there (docs/limitations.md)");
}

static void make_private(void)
{
    CALL(unshare(CLONE_NEWNS));
    CALL(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void pivot(void)
{
    make_private();
    mkdir("root", 0755);
    CALL(mount("root", "root", NULL, MS_BIND, NULL));
    mkdir("root/old", 0755);
    make_file("root/file", 3, FILE_SIZE);
    CALL(syscall(SYS_pivot_root, "root", "root/old"));
    CALL(chdir("/"));
}

static void namespaces(void)
{
    char place[PATH_MAX], path[PATH_MAX + 16];
    getcwd(place, sizeof place);
    snprintf(path, sizeof path, "%s/file", place);
    say("-- unshare(CLONE_NEWNS)");
    CHANGED(path, make_private());
    say("-- another file system mounted over the directory");
    CHANGED(path, make_private(); CALL(mount("none", place, "tmpfs", 0, NULL));
            make_file(path, 4, FILE_SIZE));
    say("-- pivot_root");
    CHANGED("/file", pivot());
    say("-- pivot_root, the old root gone");
    CHANGED("/file", pivot(); CALL(umount2("/old", MNT_DETACH)));
    say("-- the file system detached");
    CHANGED("/nowhere", make_private(); mkdir("other", 0755); CALL(mount("none", "other", "tmpfs", 0, NULL)); close(fd);
            close(directory); directory = open("other", O_RDONLY | O_DIRECTORY);
            fd = open_file("other/file", 5, O_RDWR); CALL(umount2("other", MNT_DETACH)));
    say("-- unshare(CLONE_FS), unshare(CLONE_NEWUTS), unshare(CLONE_NEWNET), unshare(CLONE_NEWPID)");
    CHANGED("file", CALL(unshare(CLONE_FS)); CALL(unshare(CLONE_NEWUTS)); CALL(unshare(CLONE_NEWNET));
            CALL(unshare(CLONE_NEWPID)));
    say("-- unshare(CLONE_FILES)");
    CHANGED("file", CALL(unshare(CLONE_FILES)));
}

static void user_namespace(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWUSER) != 0);
    int status;
    waitpid(child, &status, 0);
    if (status != 0) {
        say("user namespaces are refused"); // both runs say it
        return;
    }
    say("-- unshare(CLONE_NEWUSER)");
    CHANGED("file", CALL(unshare(CLONE_NEWUSER)));
    say("-- with a mount namespace");
    CHANGED("file", CALL(unshare(CLONE_NEWUSER | CLONE_NEWNS)));
    say("-- a child in both");
    CHANGED("file", fflush(stdout); long flags = SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID;
            pid_t inner = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
            if (inner != 0) {
                wait_for(inner);
                end_child();
            });
}

PROGRAM({"users", users}, {"roots", roots}, {"namespaces", namespaces}, {"user-namespace", user_namespace})
