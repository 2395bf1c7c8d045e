// The loader. RTLD_DEEPBIND makes a library prefer its own dependencies to the global scope, and so libc's read to
// ours: half a program would then close descriptors behind our back.
//
// dlopen looks at its return address: RPATH, namespace and $ORIGIN are those of the caller. A wrapper would make us the
// caller. musttail makes the compiler jump, at every optimisation level, so that the return address stays the
// application's.
#include "face.h"

#include <dlfcn.h>

#if !__has_attribute(musttail)
#error "needs a compiler that guarantees tail calls: clang 13, gcc 15"
#endif

static int without_deep_binding(int mode)
{
    if (mode < 0 || !(mode & RTLD_DEEPBIND))
        return mode;
    ps_engine_log_once(0, "dlopen: RTLD_DEEPBIND cleared: it would bind the library past the shim");
    return mode & ~RTLD_DEEPBIND;
}

PS_ENTRY void *dlopen(const char *file, int mode)
{
    mode = without_deep_binding(mode);
    __attribute__((musttail)) return NEXT_POINTER(dlopen)(file, mode);
}

PS_ENTRY void *dlmopen(Lmid_t namespace, const char *file, int mode)
{
    mode = without_deep_binding(mode);
    // The libc of another namespace closes and opens where no preload sees it.
    if (namespace != LM_ID_BASE) {
        ps_engine_log_once(1, "dlmopen: gives way: another namespace has a libc of its own");
        ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
    }
    __attribute__((musttail)) return NEXT_POINTER(dlmopen)(namespace, file, mode);
}
