# Programs with RocksDB or LevelDB in them. See pmemshim-profile(5).
[Profile]
Description=RocksDB and LevelDB, in whatever program has them

[Program]
Set=use_direct_reads=false, use_direct_io_for_flush_and_compaction=false
Because=These are the defaults. Direct I/O is passed on to the kernel.
Set=allow_mmap_reads=false
Because=This is the default. Tables that RocksDB maps itself do not pass through the library.
Set=block_cache=8 MB
Because=Reads of blocks are copies from memory already; a large cache keeps them a second time.

[NotServed]
What=Writing tables and logs, which are appended to: filling and compaction gain nothing.
What=LevelDB's reads: it maps its tables.
