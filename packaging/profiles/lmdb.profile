# Programs with LMDB in them. See pmemshim-profile(5).
[Profile]
Description=LMDB, in whatever program has the environment open

[Program]
Set=without MDB_WRITEMAP
Because=Transactions that write pages by pwrite are served, and were 1.5 to 1.9 times as fast. With MDB_WRITEMAP LMDB \
    stores through a mapping of its own; there is nothing to be served.

[NotServed]
What=Look-ups, which LMDB makes through a mapping of its own.
What=Meta pages, where they are written by O_DSYNC on a plain file system.
