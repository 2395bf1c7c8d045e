// Calls that return a socket, and descriptors that come through one.
#include "face.h"

#include "descriptors.h"

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

PS_ENTRY int socket(int domain, int type, int protocol) { return ps_fresh(NEXT(socket)(domain, type, protocol)); }
PS_ENTRY int socketpair(int domain, int type, int protocol, int ends[2])
{
    return ps_fresh_pair(NEXT(socketpair)(domain, type, protocol, ends), ends);
}
PS_ENTRY int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict length)
{
    return ps_fresh(NEXT(accept)(fd, address, length));
}
PS_ENTRY int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags)
{
    return ps_fresh(NEXT(accept4)(fd, address, length, flags));
}

// The numbers in [at, end): a few at a time, which are fetched at once.
static bool forget_numbers(const char *at, size_t count)
{
    int numbers[8];
    while (count > 0) {
        size_t part = count < 8 ? count : 8;
        if (!ps_fetch_again(numbers, at, part * sizeof *numbers))
            return false;
        for (size_t i = 0; i < part; i++)
            ps_fresh(numbers[i]);
        at += part * sizeof *numbers;
        count -= part;
    }
    return true;
}

// The control data as the kernel has written it, and nobody else is supposed to have changed since. If somebody has,
// nothing outside of it is looked at. False: it is there no more.
static bool forget_received(const char *at, size_t size)
{
    struct cmsghdr part;
    while (size >= sizeof part) {
        if (!ps_fetch_again(&part, at, sizeof part))
            return false;
        if (part.cmsg_len < sizeof part || part.cmsg_len > size)
            return true;
        // The kernel has written the length; what a short buffer cut off (MSG_CTRUNC) it has closed itself.
        bool has_numbers = part.cmsg_level == SOL_SOCKET
            && (part.cmsg_type == SCM_RIGHTS || part.cmsg_type == SCM_PIDFD);
        if (has_numbers && !forget_numbers(at + CMSG_LEN(0), (part.cmsg_len - CMSG_LEN(0)) / sizeof(int)))
            return false;
        size_t whole = CMSG_ALIGN(part.cmsg_len);
        if (whole > size)
            return true;
        at += whole;
        size -= whole;
    }
    return true;
}

void ps_received(long result, const struct msghdr *message)
{
    struct {
        void *control;
        size_t size;
    } found;
    _Static_assert(offsetof(struct msghdr, msg_controllen) == offsetof(struct msghdr, msg_control) + 8, "neighbours");
    // Another libc's message may have anything beside its shorter length.
    if (result < 0 || !ps_libc_is_known())
        return;
    if (!ps_fetch_again(&found, (const char *)message + offsetof(struct msghdr, msg_control), sizeof found)
        || (found.control && !forget_received(found.control, found.size)))
        ps_engine_evict_all();
}

void ps_received_many(long result, const struct mmsghdr *messages)
{
    for (long i = 0; i < result; i++)
        ps_received(0, &messages[i].msg_hdr);
}

PS_ENTRY ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t result = NEXT(recvmsg)(fd, message, flags);
    ps_received(result, message);
    return result;
}

PS_ENTRY int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    int result = NEXT(recvmmsg)(fd, messages, count, flags, timeout);
    ps_received_many(result, messages);
    return result;
}

// A second socket for the error channel, where one is asked for.
static inline int connected(int fd, const int *error_channel)
{
    if (fd >= 0 && error_channel)
        ps_fresh_at(error_channel, 1);
    return ps_fresh(fd);
}

PS_ENTRY int rcmd(char **restrict host, unsigned short port, const char *restrict local, const char *restrict remote,
                  const char *restrict command, int *restrict error_channel)
{
    return connected(NEXT(rcmd)(host, port, local, remote, command, error_channel), error_channel);
}
PS_ENTRY int rcmd_af(char **restrict host, unsigned short port, const char *restrict local,
                     const char *restrict remote, const char *restrict command, int *restrict error_channel,
                     sa_family_t family)
{
    return connected(NEXT(rcmd_af)(host, port, local, remote, command, error_channel, family), error_channel);
}
PS_ENTRY int rexec(char **restrict host, int port, const char *restrict user, const char *restrict password,
                   const char *restrict command, int *restrict error_channel)
{
    return connected(NEXT(rexec)(host, port, user, password, command, error_channel), error_channel);
}
PS_ENTRY int rexec_af(char **restrict host, int port, const char *restrict user, const char *restrict password,
                      const char *restrict command, int *restrict error_channel, sa_family_t family)
{
    return connected(NEXT(rexec_af)(host, port, user, password, command, error_channel, family), error_channel);
}
PS_ENTRY int rresvport(int *port) { return ps_fresh(NEXT(rresvport)(port)); }
PS_ENTRY int rresvport_af(int *port, sa_family_t family) { return ps_fresh(NEXT(rresvport_af)(port, family)); }
