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

// The text, padded with NUL, as two words: what Swift can store at once.
struct ps_version_words {
    uint64_t words[PS_VERSION_ROOM / sizeof(uint64_t)];
};

static inline struct ps_version_words ps_version_words(void)
{
    const union {
        char text[PS_VERSION_ROOM];
        struct ps_version_words words;
    } version = {.text = PS_VERSION};
    return version.words;
}

#endif
