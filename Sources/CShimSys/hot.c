#include "ps_hot.h"

static const char several_threads;
struct ps_hot ps_hot = {.single_threaded = &several_threads};
