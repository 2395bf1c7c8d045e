// The kernel's requests of cmirror_bpf.h.
#include "cmirror_bpf.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes)
{
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
    return result >= 0 ? (int)result : -errno;
}

int cmirror_bpf_array(uint32_t size, uint32_t count)
{
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = sizeof(uint32_t);
    attributes.value_size = size;
    attributes.max_entries = count;
    attributes.map_flags = BPF_F_MMAPABLE;
    return bpf(BPF_MAP_CREATE, &attributes);
}

int cmirror_bpf_load(const uint64_t *instructions, uint32_t count, uint32_t event)
{
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_TRACING;
    attributes.expected_attach_type = BPF_TRACE_RAW_TP;
    attributes.insns = (uintptr_t)instructions;
    attributes.insn_cnt = count;
    attributes.attach_btf_id = event;
    // The kernel lets no others look into its structures. This holds for the program alone: who likes may take those
    // instructions under the GPL.
    attributes.license = (uintptr_t) "Dual MIT/GPL";
    return bpf(BPF_PROG_LOAD, &attributes);
}

int cmirror_bpf_attach(int program)
{
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.raw_tracepoint.prog_fd = (uint32_t)program;
    return bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes);
}

int cmirror_bpf_missed(int program, uint64_t *missed)
{
    struct bpf_prog_info info;
    union bpf_attr attributes;
    memset(&info, 0, sizeof info);
    memset(&attributes, 0, sizeof attributes);
    attributes.info.bpf_fd = (uint32_t)program;
    attributes.info.info_len = sizeof info;
    attributes.info.info = (uintptr_t)&info;
    int reason = bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
    if (reason < 0)
        return reason;
    // An older kernel tells less.
    if (attributes.info.info_len < offsetof(struct bpf_prog_info, recursion_misses) + sizeof info.recursion_misses)
        return -EOPNOTSUPP;
    *missed = info.recursion_misses;
    return 0;
}

void cmirror_take_words(uint64_t *words, size_t count, uint64_t *taken)
{
    for (size_t i = 0; i < count; i++) {
        // A word that is looked at too early is taken the next time: what is written just now may be either. Taken, it
        // is exchanged as a whole, for the kernel sets bits by atomic instructions. Acquire: the bytes are read after.
        taken[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED) ? __atomic_exchange_n(&words[i], 0, __ATOMIC_ACQUIRE)
                                                                : 0;
    }
}
