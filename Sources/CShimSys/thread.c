#include "ps_thread.h"

__thread struct ps_thread ps_thread_state;
void *ps_root_address;
struct ps_settings ps_settings_storage;
