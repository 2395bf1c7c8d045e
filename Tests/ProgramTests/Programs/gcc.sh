#!/bin/bash
# gcc, as, ar, ld on the mount, and what they made, run from there: exec of, and dlopen from, served files.
set -uo pipefail
export LC_ALL=C TMPDIR=$PWD/temporary SOURCE_DATE_EPOCH=1600000000
mkdir temporary

cat >library.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int compare(const void *left, const void *right) { return *(const int *)left - *(const int *)right; }
long total(const char *name) {
    FILE *file = fopen(name, "r");
    long sum = 0, value;
    if (!file) return -1;
    while (fscanf(file, "%ld", &value) == 1) sum += value;
    rewind(file);
    if (fscanf(file, "%ld", &value) == 1) sum += value;
    fclose(file);
    return sum;
}
END
cat >program.c <<'END'
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int count, char **names) {
    char bytes[1000];
    struct stat status;
    void *handle = dlopen("./library.so", RTLD_NOW);
    if (!handle || count != 2) return puts(handle ? "usage" : "dlopen failed"), 1;
    long (*total)(const char *) = (long (*)(const char *))dlsym(handle, "total");
    printf("total %ld\n", total(names[1]));
    printf("missing %ld\n", total("missing"));
    FILE *update = fopen(names[1], "r+");
    fseek(update, 5000, SEEK_SET);
    printf("fread %zu\n", fread(bytes, 1, sizeof bytes, update));
    fseek(update, -500, SEEK_CUR);
    memset(bytes, '7', 5);
    fwrite(bytes, 1, 5, update);
    fflush(update);
    int fd = fileno(update);
    printf("pread %zd at %ld\n", pread(fd, bytes, sizeof bytes, 5400), ftell(update));
    fwrite(bytes, 1, sizeof bytes, stdout);
    fclose(update);
    fd = open(names[1], O_RDWR);
    fstat(fd, &status);
    char *map = mmap(0, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memcpy(map + 100, "1234567", 7);
    printf("read %zd\n", read(fd, bytes, 300));
    fwrite(bytes, 1, 300, stdout);
    printf("write %zd\n", write(fd, bytes, 700));
    fwrite(map + 290, 1, 40, stdout);
    munmap(map, status.st_size);
    close(fd);
    return 3;
}
END
gcc -O2 -Wall -fPIC -shared library.c -o library.so
gcc -O1 -g program.c -o program -ldl
gcc -c -fPIC library.c -o library.o
ar rcD library.a library.o
gcc -S -O2 library.c -o library.s
gcc -save-temps=obj -pipe -DMAIN -x c - -o from-stdin <<<'int main(void) { return 9; }'
rm -f from-stdin-* ./-.* # named after nothing in particular
gcc program-missing.c
echo "missing source: $?"
gcc -c -x c - -o /dev/null <<<'int main( { return 0; }'
echo "syntax error: $?"
seq 1 5000 >input
./program input
echo "program: $?"
./from-stdin
echo "from-stdin: $?"
cp program copy-of-program
strip -o stripped program
objcopy --only-keep-debug program program.debug
./copy-of-program input | cksum
mv stripped program # over what has just been run
./program input | cksum
nm -D library.so | grep ' T '
size -A library.so | head -n 4
readelf -h program | sed -n 's/ *Type: *//p'
ls temporary
cksum ./*
