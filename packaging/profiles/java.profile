# Java's own databases: H2, Derby, Lucene and the like. See pmemshim-profile(5).
[Profile]
Description=Java programs: FileChannel and RandomAccessFile

[Program]
Set=FileChannel.read(buffer, position) and write(buffer, position)
Because=Each is one pread or pwrite, and served: twice as fast. RandomAccessFile moves an offset with lseek first, \
    which stays the kernel's and takes most of what is gained.
Set=direct buffers, if you have the choice
Because=With others Java copies once more.

[NotServed]
What=FileChannel.map and MappedByteBuffer, which are mappings of the program's own.
What=FileChannel.transferTo, and what is appended.
