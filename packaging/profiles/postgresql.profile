# A PostgreSQL server with all its processes. See pmemshim-profile(5).
[Profile]
Description=PostgreSQL, a server with all its processes
Services=postgresql@* postgresql-*

[Program]
Set=shared_buffers=128MB
Because=This is the default, and enough on memory-like storage: a read that misses the pool is a copy. What is saved \
    is free for the data themselves, where they are in memory.
Set=wal_recycle=on
Because=This is the default. Segments that are reused are overwritten in place, which is served; new ones are \
    extended, which the kernel does.
Set=wal_init_zero=on
Because=This is the default. A segment that is filled first is overwritten later.

[NotServed]
What=Extending tables and new segments of the WAL.
What=What passes between client and server, which is most of a short transaction: no file system can shorten it.
What=Backends that end after a few queries: each has windows of its own, which have to pay. Pool connections.
