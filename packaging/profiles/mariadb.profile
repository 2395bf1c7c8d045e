# MariaDB. See pmemshim-profile(5).
[Profile]
Description=MariaDB, a server with InnoDB
Services=mariadb mariadb@* mysql mysqld
DataDirectory=/var/lib/mysql

[Program]
Set=innodb_flush_method=fsync
Because=With O_DIRECT, the default, the files of an ext4 are not served at all: such calls go past the page cache. On \
    tmpfs O_DIRECT is ignored, and there it makes no difference.
Set=innodb_use_native_aio=0
Because=Pages that are written by io_uring or libaio pass through no function that the library sees. They are few, and \
    the data are the same; what was measured is in docs/benchmarks.md.

[NotServed]
What=The redo log's growth, new tables, and what passes between client and server.
What=Pages that native AIO writes.
