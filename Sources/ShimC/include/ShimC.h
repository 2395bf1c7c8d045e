// Nothing: this target has no callers. Its functions are libc's names, exported by exports.map; the package manager
// wants a directory of public headers.
