// power-writer write DIRECTORY SEED: works until it is killed; prints "own N" when step N is durable.
// power-writer check DIRECTORY SEED N: whether all steps up to N are in the files.
#include "power.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const block_files[KINDS] = {
    [SYNCED] = "synced", [DSYNC] = "dsync", [MAPPED] = "mapped", [SMALL] = "small"};

_Noreturn void power_fail(const char *what)
{
    perror(what);
    exit(2);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

struct step step_of(uint64_t seed, uint64_t number)
{
    const uint64_t random = mix(seed * 0x9e3779b97f4a7c15ull + number);
    struct step step = {.kind = (enum kind)(number % KINDS), .length = BLOCK};
    switch (step.kind) {
    case APPENDED: step.length = 1 + (uint32_t)(random % LONGEST); break;
    case SMALL:
        step.place = (uint32_t)(random % (BLOCKS * BLOCK / LINE));
        step.length = LINE;
        break;
    case REPLACED:
        step.place = (uint32_t)(random % SLOTS);
        step.length = LINE * (1 + (uint32_t)(random >> 32) % (LONGEST / LINE));
        break;
    default: step.place = (uint32_t)(random % BLOCKS); break;
    }
    return step;
}

void step_bytes(uint64_t seed, uint64_t number, const struct step *step, unsigned char *bytes)
{
    uint64_t words[LINE / 8];
    for (uint32_t at = 0; at < step->length; at += LINE) {
        words[0] = number;
        words[1] = (uint64_t)step->place << 32 | at;
        for (size_t i = 2; i < LINE / 8; i++)
            words[i] = mix(seed + words[0] * 31 + words[1] * 17 + i);
        const uint32_t left = step->length - at;
        memcpy(bytes + at, words, left < LINE ? left : LINE);
    }
}

int main(int argc, char **argv)
{
    const bool writes = argc == 4 && strcmp(argv[1], "write") == 0;
    if (!writes && !(argc == 5 && strcmp(argv[1], "check") == 0)) {
        fprintf(stderr, "usage: power-writer write DIRECTORY SEED | check DIRECTORY SEED NUMBER\n");
        return 2;
    }
    if (chdir(argv[2]) != 0)
        power_fail(argv[2]);
    const uint64_t seed = strtoull(argv[3], NULL, 10);
    if (!writes)
        return power_check(seed, strtoull(argv[4], NULL, 10));
    power_write(seed);
    return 0;
}
