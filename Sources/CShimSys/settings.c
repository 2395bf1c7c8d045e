#include "ps_settings.h"

struct ps_settings ps_settings_storage;
