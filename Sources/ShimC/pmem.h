#ifndef PS_FACE_PMEM_H
#define PS_FACE_PMEM_H

// Loads libpmem where there may be files on persistent memory. Once, from the constructor.
__attribute__((visibility("hidden"))) void ps_pmem_load(void);

#endif
