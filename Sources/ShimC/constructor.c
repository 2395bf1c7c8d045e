// The start. Calls that come earlier (preinit arrays, constructors of other preloads, malloc replacements) are passed
// on: the engine answers PS_PASS_ON until it has been started, and next.c needs no preparation.
#include "face.h"

#include <unistd.h>

__attribute__((constructor)) static void start(void) { ps_engine_start(environ); }
