// Only under ThreadSanitizer, and only linked in with --wrap (scripts/lib/sanitize.sh).
//
// Besides the loads and stores themselves, Swift reports every modification of a structure's field as one of the whole
// structure, at its first byte. The engine's structures hold fields behind its lock beside atomic ones that anybody may
// read: by that reckoning every such read is a race. What the fields themselves see stays instrumented.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
void __wrap___tsan_external_write(void *address, void *caller, void *tag);
void __wrap___tsan_external_write(void *address, void *caller, void *tag)
{
    (void)address;
    (void)caller;
    (void)tag;
}
#endif
#endif
typedef int ps_nothing_else_is_here; // ISO C wants a declaration in every file
