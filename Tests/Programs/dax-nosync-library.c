// A library that promises durability and does nothing: what the tests of crash images must find out.
int fsync(int fd) { return fd < 0 ? -1 : 0; }
int fdatasync(int fd) { return fd < 0 ? -1 : 0; }
