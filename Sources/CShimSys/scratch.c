#include "ps_scratch.h"

#include "ps_placement.h"
#include "ps_thread.h"

#define ROOMS 8

PS_LARGE_AND_RARE struct {
    _Alignas(64) char bytes[PS_SCRATCH_SIZE];
} ps_scratch_rooms[ROOMS];
static uint32_t taken[ROOMS];

void *ps_scratch_take(void)
{
    for (int i = 0; i < ROOMS; i++) {
        uint32_t no = 0;
        if (__atomic_load_n(&taken[i], __ATOMIC_RELAXED) == 0
            && __atomic_compare_exchange_n(&taken[i], &no, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return ps_scratch_rooms[i].bytes;
    }
    return NULL;
}

void ps_scratch_give(void *room)
{
    size_t index = (size_t)((char *)room - ps_scratch_rooms[0].bytes) / sizeof ps_scratch_rooms[0];
    __atomic_store_n(&taken[index], 0, __ATOMIC_RELEASE);
}

#define TRIED 4u

PS_LARGE_AND_RARE struct ps_vector_room ps_vector_rooms[PS_VECTOR_ROOMS];

void *ps_vector_room_search(unsigned first, uintptr_t frame)
{
    for (unsigned i = 0; i < TRIED; i++) {
        struct ps_vector_room *room = &ps_vector_rooms[(first + i) % PS_VECTOR_ROOMS];
        if (__atomic_load_n(&room->holder, __ATOMIC_RELAXED) == 0 && ps_vector_room_hold(room, 0, frame))
            return room->bytes;
    }
    for (unsigned i = 0; i < TRIED; i++) {
        struct ps_vector_room *room = &ps_vector_rooms[(first + i) % PS_VECTOR_ROOMS];
        uintptr_t holder = __atomic_load_n(&room->holder, __ATOMIC_RELAXED);
        if (holder != 0 && !ps_frame_may_live(holder) && ps_vector_room_hold(room, holder, frame))
            return room->bytes;
    }
    return NULL;
}
