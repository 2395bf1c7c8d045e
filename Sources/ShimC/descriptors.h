// Parts of entry points that syscall() needs too.
#ifndef PS_DESCRIPTORS_H
#define PS_DESCRIPTORS_H

#include <stdbool.h>
#include <sys/socket.h>

struct mmsghdr;

// close.c
void ps_before_close_range(unsigned first, unsigned last, int flags);
bool ps_changes_flags(int fd, int command, long argument);
// sockets.c: forgets the numbers that came with a message; `result` is recvmsg's, recvmmsg's.
void ps_received(long result, const struct msghdr *message);
void ps_received_many(long result, const struct mmsghdr *messages);

// giveway.c. Each in three steps: before the call, and after it with its result.
void ps_before_mlockall(void);
void ps_after_mlockall(long result);
void ps_after_munlockall(long result);
void ps_before_prctl(int option, unsigned long argument);
void ps_after_limit(int pid, int resource, const void *limit);
void ps_before_unshare(int flags);
void ps_before_clone(unsigned long flags);
void ps_before_seccomp(unsigned operation);

#endif
