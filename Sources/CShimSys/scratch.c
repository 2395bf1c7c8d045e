#include "ps_scratch.h"

#include "ps_thread.h"

#define ROOMS 8

static struct {
    _Alignas(64) char bytes[PS_SCRATCH_SIZE];
} rooms[ROOMS];
static uint32_t taken[ROOMS];

void *ps_scratch_take(void)
{
    for (int i = 0; i < ROOMS; i++) {
        uint32_t no = 0;
        if (__atomic_load_n(&taken[i], __ATOMIC_RELAXED) == 0
            && __atomic_compare_exchange_n(&taken[i], &no, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return rooms[i].bytes;
    }
    return NULL;
}

void ps_scratch_give(void *room)
{
    size_t index = (size_t)((char *)room - rooms[0].bytes) / sizeof rooms[0];
    __atomic_store_n(&taken[index], 0, __ATOMIC_RELEASE);
}

#define VECTOR_ROOMS 64u
#define TRIED 4u

static struct {
    _Alignas(64) char bytes[PS_VECTOR_ROOM];
    uintptr_t holder; // its frame; 0: free
} vector_rooms[VECTOR_ROOMS];

static bool hold(unsigned index, uintptr_t before, uintptr_t frame)
{
    return __atomic_compare_exchange_n(&vector_rooms[index].holder, &before, frame, 0, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void *ps_vector_room_take(uintptr_t record, uintptr_t frame)
{
    const unsigned first = (unsigned)(record / 64); // the size of a record
    for (unsigned i = 0; i < TRIED; i++) {
        unsigned index = (first + i) % VECTOR_ROOMS;
        if (__atomic_load_n(&vector_rooms[index].holder, __ATOMIC_RELAXED) == 0 && hold(index, 0, frame))
            return vector_rooms[index].bytes;
    }
    for (unsigned i = 0; i < TRIED; i++) {
        unsigned index = (first + i) % VECTOR_ROOMS;
        uintptr_t holder = __atomic_load_n(&vector_rooms[index].holder, __ATOMIC_RELAXED);
        if (holder != 0 && !ps_frame_may_live(holder) && hold(index, holder, frame))
            return vector_rooms[index].bytes;
    }
    return NULL;
}

void ps_vector_room_give(void *room)
{
    size_t index = (size_t)((char *)room - vector_rooms[0].bytes) / sizeof vector_rooms[0];
    __atomic_store_n(&vector_rooms[index].holder, 0, __ATOMIC_RELEASE);
}
