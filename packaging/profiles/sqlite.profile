# Programs with SQLite in them. See pmemshim-profile(5).
[Profile]
Description=SQLite, in whatever program has the database open

[Program]
Set=PRAGMA journal_mode=WAL
Because=The log is reused in place, and 98 % of its calls are served. In the rollback modes half of a small \
    transaction is making, cutting and removing the journal, which the kernel does.
Set=PRAGMA mmap_size=0
Because=This is the default. A database that SQLite maps itself does not pass through the library.
Set=PRAGMA cache_size=-2000
Because=This is the default, and enough: a page that is not in SQLite's cache is a copy from memory away.

[NotServed]
What=Six to ten fcntl locks of each transaction, and what the journal is made, cut and removed with: the kernel's.
What=Growing the database and its log; VACUUM gains nothing.
What=Connections that are closed after some look-ups: they end before a window has paid.
