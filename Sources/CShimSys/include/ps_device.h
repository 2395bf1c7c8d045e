// The device: what lies on media, and how an attached device is registered. Documented for other programs in
// docs/device-format.md; a change here is a change there.
//
//     0             superblock, 4 KiB
//     1 MiB         its identical copy
//     2 MiB         page arrays: 2 MiB for each section
//     data offset   logical block 0; a multiple of 2 MiB
//
// Every number is little-endian. The engine is x86-64 only; the code converts all the same where it reads and writes,
// so that the rule stands in one place of the source and not in an assumption.
#ifndef PS_DEVICE_H
#define PS_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#define PS_DEVICE_MAGIC 0x4d4948534d454d50ull /* "PMEMSHIM" as bytes on media */
#define PS_DEVICE_VERSION 1u       // of a device that stands alone
#define PS_DEVICE_VERSION_SET 2u   // of one that belongs to a set
#define PS_DEVICE_SUPERBLOCK 4096u               // bytes
#define PS_DEVICE_COPY_OFFSET (1ull << 20)       // of the second superblock
#define PS_DEVICE_ARRAY_OFFSET (2ull << 20)      // of the first section's array
#define PS_DEVICE_ARRAY_SIZE (2ull << 20)        // of one section's array
#define PS_DEVICE_ALIGNMENT (2ull << 20)         // of the data area: its offset and its size
#define PS_DEVICE_DESCRIPTOR 64u                 // bytes
#define PS_DEVICE_SECTION_PAGES 32768u
#define PS_DEVICE_GROUP_PAGES 512u

#define PS_MIRROR_PATH 1024                      // bytes

enum ps_set_role {
    PS_SET_PRIMARY = 1,  // the one that is used
    PS_SET_MIRROR = 2,   // its copy
    PS_SET_PROMOTED = 3  // was a mirror, and is used in place of the primary
};

enum ps_mirror_state {
    PS_MIRROR_EMPTY = 0,  // no pass has ended
    PS_MIRROR_COPIED = 1, // each page is as it was at some moment of the last pass
    PS_MIRROR_POINT = 2,  // all pages are as they were at one moment
    PS_MIRROR_KERNEL = 3  // the kernel writes to both (dm-mirror): as the primary is
};

struct ps_superblock {
    uint64_t magic;
    uint32_t version;
    uint32_t size;              // of this struct: 4096
    uint8_t uuid[16];           // RFC 9562 order of bytes
    uint32_t page_size;         // 4096, 16384 or 65536
    uint32_t descriptor_size;   // 64
    uint64_t device_size;       // bytes; what lies behind is not used
    uint64_t section_count;
    uint64_t array_offset;      // bytes from the start of the device
    uint64_t data_offset;       // bytes
    uint64_t data_size;         // bytes
    uint64_t attach_generation; // raised by every attach; its low 32 bits are never 0
    uint64_t created_ns;        // CLOCK_REALTIME of create, ns; for people
    // What follows is all 0 in version 1. A set is a device and its mirror.
    uint32_t set_role;          // enum ps_set_role
    uint32_t mirror_state;      // enum ps_mirror_state; of a mirror, as the rest down to log_crc32c
    uint8_t set_uuid[16];
    uint8_t peer_uuid[16];      // `uuid` of the other one
    uint64_t set_sequence;      // raised whenever a field of the set is changed
    uint64_t epoch;             // of the last pass that ended: passes are counted from 1
    uint64_t epoch_ns;          // CLOCK_REALTIME of the state that it copied, ns
    uint64_t pass_epoch;        // of the pass that is changing the data area in place; 0: none
    uint64_t log_offset;        // bytes from the start of the device, behind device_size
    uint64_t log_size;          // bytes; 0: there is no log
    uint64_t log_count;         // pages in the log that belong into the data area; 0: the log is empty
    uint64_t log_epoch;         // epoch and epoch_ns once they are there
    uint64_t log_ns;
    uint32_t log_crc32c;        // of the log's first log_count entries
    uint32_t reserved0;         // 0
    char peer_path[PS_MIRROR_PATH]; // where the other one was last found, NUL-terminated; checked by its uuid
    uint32_t reserved[713];     // 0
    uint32_t crc32c;            // of the whole struct with this field 0
};

_Static_assert(sizeof(struct ps_superblock) == PS_DEVICE_SUPERBLOCK, "superblock");
_Static_assert(offsetof(struct ps_superblock, uuid) == 16, "superblock");
_Static_assert(offsetof(struct ps_superblock, page_size) == 32, "superblock");
_Static_assert(offsetof(struct ps_superblock, device_size) == 40, "superblock");
_Static_assert(offsetof(struct ps_superblock, section_count) == 48, "superblock");
_Static_assert(offsetof(struct ps_superblock, array_offset) == 56, "superblock");
_Static_assert(offsetof(struct ps_superblock, data_offset) == 64, "superblock");
_Static_assert(offsetof(struct ps_superblock, data_size) == 72, "superblock");
_Static_assert(offsetof(struct ps_superblock, attach_generation) == 80, "superblock");
_Static_assert(offsetof(struct ps_superblock, created_ns) == 88, "superblock");
_Static_assert(offsetof(struct ps_superblock, set_role) == 96, "superblock");
_Static_assert(offsetof(struct ps_superblock, set_uuid) == 104, "superblock");
_Static_assert(offsetof(struct ps_superblock, set_sequence) == 136, "superblock");
_Static_assert(offsetof(struct ps_superblock, log_offset) == 168, "superblock");
_Static_assert(offsetof(struct ps_superblock, log_crc32c) == 208, "superblock");
_Static_assert(offsetof(struct ps_superblock, peer_path) == 216, "superblock");
_Static_assert(offsetof(struct ps_superblock, crc32c) == 4092, "superblock");

// A mirror has these where others have page descriptors: what was copied. They are not hints; one that is damaged is
// known by its checksum, and means that nothing is known of the page.
struct ps_mirror_record {
    uint32_t check;  // CRC-32C of the other 60 bytes
    uint32_t set;    // the first four bytes of set_uuid
    uint64_t page;   // whose record this is: of the data area, in pages of page_size
    uint64_t epoch;  // of the pass that copied it last
    uint32_t crc32c; // of the page
    uint32_t state;  // 1: copied
    uint64_t reserved[4];
};

// One page in a mirror's log. The entries come first, (log_size - page_size) / (page_size + 16) of them, then, from the
// next multiple of page_size on, the pages.
struct ps_mirror_log_entry {
    uint64_t page;
    uint32_t crc32c;
    uint32_t reserved;
};

_Static_assert(sizeof(struct ps_mirror_record) == PS_DEVICE_DESCRIPTOR, "record");
_Static_assert(offsetof(struct ps_mirror_record, page) == 8, "record");
_Static_assert(offsetof(struct ps_mirror_record, epoch) == 16, "record");
_Static_assert(offsetof(struct ps_mirror_record, crc32c) == 24, "record");
_Static_assert(offsetof(struct ps_mirror_record, state) == 28, "record");
_Static_assert(sizeof(struct ps_mirror_log_entry) == 16, "log entry");

// One page's descriptor. The first of a group also carries the group's word, the first of a section the section's.
//
// A word is 64 bits, changed only by atomic operations: flags in the low half, and in the high half the low 32 bits of
// the attach generation they were set under. Flags under another generation are not set, whatever their bits say: so
// attach clears all by raising one number, and nobody ever has to clear what another may already be using.
struct ps_page_descriptor {
    uint64_t page;        // enum ps_page_flag
    uint64_t group;       // enum ps_layer_flag, in the first descriptor of a group
    uint64_t section;     // enum ps_layer_flag, in the first descriptor of a section
    uint64_t owner_inode; // valid with PS_PAGE_OWNED
    uint64_t owner_index; // of the page within the inode, in device pages; valid with PS_PAGE_OWNED
    uint64_t reads;       // sampled; the count is in the low half, saturating; generation as in a word
    uint64_t writes;      // the same
    // In the second descriptor of a section: a bit for each group with a PS_LAYER_TOLD_FIRST, of whatever generation.
    // Elsewhere 0 when written, and ignored when read.
    uint64_t told;
};

enum ps_layer_flag {
    PS_LAYER_READY = 1u, // all below of this generation has been put into its initial state
    // Of a group: PS_PAGE_ALLOCATED has been set of one of its first 32 pages since it was last cleared of all those;
    // the bit to the left: of the next 32, and so on.
    PS_LAYER_TOLD_FIRST = 1u << 16
};

enum ps_page_flag {
    PS_PAGE_READY = 1u,      // in its initial state or later
    PS_PAGE_ALLOCATED = 2u,  // the file system has given this page to a file, and it has been written
    PS_PAGE_BAD = 4u,        // a media error was met: the kernel's from now on
    PS_PAGE_OWNED = 8u       // owner_inode and owner_index are set
};

_Static_assert(sizeof(struct ps_page_descriptor) == PS_DEVICE_DESCRIPTOR, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, group) == 8, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, section) == 16, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, owner_inode) == 24, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, owner_index) == 32, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, reads) == 40, "descriptor");
_Static_assert(offsetof(struct ps_page_descriptor, writes) == 48, "descriptor");
_Static_assert(PS_DEVICE_SECTION_PAGES * PS_DEVICE_DESCRIPTOR == PS_DEVICE_ARRAY_SIZE, "a section's array");

// CRC-32C (Castagnoli, as in iSCSI and ext4), four bits at a time. Not by a library: it is needed for some superblocks.
static inline uint32_t ps_crc32c_step(uint32_t crc, uint8_t byte)
{
    static const uint32_t of_four_bits[16] = {
        0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
        0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
    };
    crc ^= byte;
    crc = crc >> 4 ^ of_four_bits[crc & 15];
    return crc >> 4 ^ of_four_bits[crc & 15];
}

static inline uint32_t ps_crc32c(const void *_Nonnull bytes, size_t count)
{
    const uint8_t *at = (const uint8_t *)bytes;
    uint32_t crc = ~0u;
    while (count--)
        crc = ps_crc32c_step(crc, *at++);
    return ~crc;
}

// The checksum that belongs into the copy of a superblock at `bytes`, whatever stands in its place now.
static inline uint32_t ps_superblock_checksum(const void *_Nonnull bytes)
{
    uint32_t crc = ~ps_crc32c(bytes, offsetof(struct ps_superblock, crc32c));
    for (int zero = 0; zero < 4; zero++)
        crc = ps_crc32c_step(crc, 0);
    return ~crc;
}

// An attached device, registered for the processes of all users: one file of exactly this size in
// PS_ATTACHMENT_DIRECTORY, owned by root and writable by nobody else, named after the block device of the logical block
// space, "major:minor" in decimal. The numbers of block devices are used again: a registration counts only as long as
// `data_sequence` is what /sys/dev/block/MAJOR:MINOR/diskseq says.
#define PS_ATTACHMENT_PARENT "/run/pmemshim"
#define PS_ATTACHMENT_DIRECTORY "/run/pmemshim/devices"
#define PS_ATTACHMENT_MAGIC 0x3148435441534d50ull /* "PMSATCH1" as bytes */
#define PS_ATTACHMENT_VERSION 1u
#define PS_ATTACHMENT_PATH 1024
#define PS_ATTACHMENT_SIZE 4096 // bytes of a registration

struct ps_attachment {
    uint64_t magic;
    uint32_t version;
    uint32_t size;                       // of this struct
    uint8_t uuid[16];
    uint64_t attach_generation;
    uint64_t data_size;                  // bytes
    uint32_t page_size;                  // bytes
    uint32_t data_major, data_minor;     // the logical block space
    uint32_t pages_major, pages_minor;   // the page arrays
    uint32_t reserved;
    uint64_t data_sequence;              // diskseq of the logical block space's device; 0: the kernel has none
    uint64_t pages_sequence;             // diskseq of the page arrays' device
    uint64_t attached_ns;                // CLOCK_REALTIME, ns
    uint64_t reserved2[52];
    char name[256];                      // under which its nodes stand in /dev/pmemshim, NUL-terminated
    char device[PS_ATTACHMENT_PATH];     // the image or block device, absolute, NUL-terminated
    char pages[PS_ATTACHMENT_PATH];      // node of the page arrays, absolute, NUL-terminated
    uint64_t reserved3[160];
};

// Offsets of its fields, bytes: Embedded Swift has no key paths.
enum {
    PS_ATTACHMENT_AT_MAGIC = offsetof(struct ps_attachment, magic),
    PS_ATTACHMENT_AT_VERSION = offsetof(struct ps_attachment, version),
    PS_ATTACHMENT_AT_GENERATION = offsetof(struct ps_attachment, attach_generation),
    PS_ATTACHMENT_AT_DATA_SIZE = offsetof(struct ps_attachment, data_size),
    PS_ATTACHMENT_AT_PAGE_SIZE = offsetof(struct ps_attachment, page_size),
    PS_ATTACHMENT_AT_DATA_MAJOR = offsetof(struct ps_attachment, data_major),
    PS_ATTACHMENT_AT_DATA_MINOR = offsetof(struct ps_attachment, data_minor),
    PS_ATTACHMENT_AT_PAGES_MAJOR = offsetof(struct ps_attachment, pages_major),
    PS_ATTACHMENT_AT_DATA_SEQUENCE = offsetof(struct ps_attachment, data_sequence),
    PS_ATTACHMENT_AT_PAGES = offsetof(struct ps_attachment, pages),
};
_Static_assert(offsetof(struct ps_attachment, data_sequence) == 72, "attachment");
_Static_assert(offsetof(struct ps_attachment, pages_minor) == offsetof(struct ps_attachment, pages_major) + 4,
               "attachment: read as one word");
_Static_assert(offsetof(struct ps_attachment, name) == 512, "attachment");
_Static_assert(offsetof(struct ps_attachment, device) == 768, "attachment");
_Static_assert(sizeof(struct ps_attachment) == PS_ATTACHMENT_SIZE, "attachment");

#endif
