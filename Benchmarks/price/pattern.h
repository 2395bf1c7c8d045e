// What a pattern is made of, and how it is read from the command line.
#ifndef PATTERN_H
#define PATTERN_H

#include <stdint.h>

enum { MOST_FILES = 4096, MOST_THREADS = 64 };

enum resize { RESIZE_NONE, RESIZE_SAME, RESIZE_GROW, RESIZE_DOWN_UP, RESIZE_KEEP, RESIZE_ALLOCATE, RESIZE_FLAGS };
enum life { LIFE_ONE, LIFE_THREADS, LIFE_CHILDREN };

struct pattern {
    const char *directory;
    int files;      // 1 to MOST_FILES
    long size;      // of each, bytes
    long rounds;    // of each thread
    long calls;     // data calls a round
    long length;    // of a call, bytes
    long writes;    // percent of the calls
    int in_order;   // else at random
    int at_offset;  // read and write, else pread and pwrite
    int keep;       // the files stay open
    int journal;    // a file is made by each round, and unlinked
    int sparse;     // the files are one hole
    int preallocated;
    int warm;       // all rounds once before, not timed
    int close_inside; // with keep: their close is timed too
    int threads;    // 1 to MOST_THREADS
    enum life life; // a thread or a child for each round
    enum resize resize;
    long every;     // calls between two of them; 0: one at the end of each round
};

// Ends the program with a message where the options make no sense.
struct pattern pattern_of(int count, char **arguments);

// CPU time of children that have been waited for, ns.
double children_cpu(void);

#endif
