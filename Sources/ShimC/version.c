// Which build a library is: a note in the file, which no program loads or looks up.
#include <elf.h>

#include "ps_version.h"

// Its name is padded to four bytes, as the format has it.
static const struct {
    Elf64_Nhdr head;
    char owner[(sizeof PS_VERSION_OWNER + 3) / 4 * 4];
    char text[PS_VERSION_ROOM];
    // `used`, `retain`: nothing refers to it, and the linker must keep it all the same.
} note __attribute__((section(".note.pmemshim"), aligned(4), used, retain)) = {
    .head = {.n_namesz = sizeof PS_VERSION_OWNER, .n_descsz = PS_VERSION_ROOM, .n_type = PS_VERSION_NOTE},
    .owner = PS_VERSION_OWNER,
    .text = PS_VERSION,
};
