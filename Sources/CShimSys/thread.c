#include "ps_thread.h"

__thread struct ps_thread ps_thread_state;
struct ps_hot ps_hot;
struct ps_settings ps_settings_storage;
