// What judges an ELF file: libelf, and extended attributes (file capabilities), which the Glibc module lacks.
#include <gelf.h>
#include <libelf.h>
#include <sys/xattr.h>
