#include "ps_unseen.h"

struct ps_unseen ps_unseen;
