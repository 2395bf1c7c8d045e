# Redis. See pmemshim-profile(5).
[Profile]
Description=Redis: nothing to gain
Services=redis redis-server redis-server@* valkey valkey-server
DataDirectory=/var/lib/redis

[Program]
Set=appendonly and save as you like
Because=The append-only file is appended to, snapshots are written once, and both are loaded through streams inside \
    libc. The kernel does all of it, so the library changes nothing but takes nothing either.

[NotServed]
What=Appends (O_APPEND), snapshots, and loading them, which goes through streams inside libc.
