// Where in the library's memory a variable lies. Each page that an exec touches costs it a page fault of about a
// microsecond, and most programs never use a served file: what every start touches has one page for all of it.
#ifndef PS_PLACEMENT_H
#define PS_PLACEMENT_H

// Written by every start: beside the initialised data, whose page the loader has touched already.
#define PS_TOUCHED_AT_START __attribute__((section(".data")))

// Large, and used by few calls: the linker puts common symbols behind all other memory, so that the small variables
// share the page at its beginning. Such a variable cannot be static; -fvisibility=hidden keeps it inside the library.
#define PS_LARGE_AND_RARE __attribute__((common))

#endif
