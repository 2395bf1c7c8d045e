// The version of all of this: the library, shimctl, the manual pages and the Debian package (scripts/package).
#ifndef PS_VERSION_H
#define PS_VERSION_H

#include <stdint.h>

// Semantic (semver.org); at most PS_VERSION_ROOM - 1 bytes.
#define PS_VERSION "0.2.0"
#define PS_VERSION_ROOM 16

// The note of the library (ELF's PT_NOTE, elf(5)): `readelf --notes`, and shimctl, read in it which build a file is.
// Its owner is PS_VERSION_OWNER, its type PS_VERSION_NOTE, its text the version, padded with NUL.
#define PS_VERSION_OWNER "pmemshim"
#define PS_VERSION_NOTE 1

_Static_assert(sizeof PS_VERSION <= PS_VERSION_ROOM, "the version has its room in the note and in the statistics");

// The version as the two words that a record of the statistics has it in.
static inline void ps_version_words(uint64_t words[_Nonnull 2])
{
    const union {
        char text[PS_VERSION_ROOM];
        uint64_t words[2];
    } version = {.text = PS_VERSION};
    words[0] = version.words[0];
    words[1] = version.words[1];
}

#endif
