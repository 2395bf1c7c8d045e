import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import java.io.FileDescriptor;
import java.io.RandomAccessFile;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Arrays;

/**
 * libc by JNA, as databases use it: open, pread, pwrite, dup2, posix_fadvise, mlockall; beside Java's own calls. "c",
 * what they ask for, JNA finds in the process as a whole; "libc.so.6" in that library.
 */
public class ByName {
    public interface Libc extends Library {
        int open(String path, int flags, int mode);
        int close(int fd);
        int dup2(int from, int to);
        int fcntl(int fd, int command, int argument);
        long pread(int fd, Memory buffer, NativeLong count, NativeLong offset);
        long pwrite(int fd, Memory buffer, NativeLong count, NativeLong offset);
        long read(int fd, Memory buffer, NativeLong count);
        long lseek(int fd, NativeLong offset, int whence);
        int ftruncate(int fd, NativeLong length);
        int fsync(int fd);
        int posix_fadvise(int fd, NativeLong offset, NativeLong length, int advice);
        int mlockall(int flags);
        int munlockall();
    }

    static final int PAGE = 4096, PAGES = 128, O_RDWR = 2, O_APPEND = 02000;
    static Libc libc;
    static final Memory memory = new Memory(64 << 10);

    static FileChannel opened(String name) throws Exception {
        return FileChannel.open(Path.of(name), StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    static byte[] page(String name, int number) throws Exception {
        byte[] seed = MessageDigest.getInstance("SHA-256").digest((name + " " + number).getBytes());
        byte[] page = new byte[PAGE];
        for (int at = 0; at < PAGE; at++) page[at] = (byte) (seed[at % 32] + at / 32);
        return page;
    }

    static String shorted(byte[] bytes) throws Exception {
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
        StringBuilder text = new StringBuilder(bytes.length + ":");
        for (int at = 0; at < 6; at++) text.append(String.format("%02x", hash[at]));
        return text.toString();
    }

    static String pread(int fd, int count, long offset) throws Exception {
        memory.setMemory(0, memory.size(), (byte) 0);
        long done = libc.pread(fd, memory, new NativeLong(count), new NativeLong(offset));
        return done < 0 ? "errno " + Native.getLastError() : shorted(memory.getByteArray(0, (int) done));
    }

    static long pwrite(int fd, byte[] bytes, long offset) {
        memory.write(0, bytes, 0, bytes.length);
        return libc.pwrite(fd, memory, new NativeLong(bytes.length), new NativeLong(offset));
    }

    static void make(String name) throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(name, "rw")) {
            for (int number = 0; number < PAGES; number++) file.write(page(name, number));
        }
    }

    static int checkAll(int fd, String name) throws Exception {
        int good = 0;
        for (int round = 0; round < 200; round++) {
            int number = round * 37 % PAGES;
            long done = libc.pread(fd, memory, new NativeLong(PAGE), new NativeLong((long) number * PAGE));
            if (done == PAGE && Arrays.equals(memory.getByteArray(0, PAGE), page(name, number))) good++;
        }
        return good;
    }

    /** The number behind Java's object. */
    static int number(RandomAccessFile file) throws Exception {
        Field field = FileDescriptor.class.getDeclaredField("fd");
        field.setAccessible(true);
        return field.getInt(file.getFD());
    }

    static int checkAll(RandomAccessFile file, String name) throws Exception {
        int good = 0;
        byte[] back = new byte[PAGE];
        for (int round = 0; round < 200; round++) {
            int number = round * 37 % PAGES;
            file.seek((long) number * PAGE);
            file.readFully(back);
            if (Arrays.equals(back, page(name, number))) good++;
        }
        return good;
    }

    static int readSparse(FileChannel channel) throws Exception {
        int good = 0;
        ByteBuffer buffer = ByteBuffer.allocateDirect(PAGE);
        for (int number = 0; number < PAGES - 1; number++) {
            buffer.clear();
            channel.read(buffer, (32L << 20) + (long) number * PAGE);
            byte[] back = new byte[PAGE];
            buffer.flip().get(back);
            if (Arrays.equals(back, page("sparse", number))) good++;
        }
        return good;
    }

    public static void main(String[] arguments) throws Exception {
        libc = Native.load(arguments[0], Libc.class);
        make("one");
        make("two");
        int one = libc.open("one", O_RDWR, 0), two = libc.open("two", O_RDWR, 0);
        System.out.println("pages " + checkAll(one, "one") + " " + checkAll(two, "two"));
        System.out.println("pread " + pread(one, 50_000, 12_345) + " " + pread(one, 9000, PAGE * PAGES - 10L));
        System.out.println("pwrite " + pwrite(one, page("new", 1), 40_000) + " " + pread(one, 9000, 38_000));
        System.out.println("offsets " + libc.lseek(one, new NativeLong(5000), 0) + " "
                + libc.read(one, memory, new NativeLong(6000)) + " " + libc.lseek(one, new NativeLong(0), 1));
        System.out.println("advice " + libc.posix_fadvise(one, new NativeLong(0), new NativeLong(0), 4));

        try (FileChannel channel = opened("one")) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(PAGE);
            int good = 0;
            for (int number = 20; number < 120; number++) {
                pwrite(one, page("jna", number), (long) number * PAGE);
                buffer.clear();
                channel.read(buffer, (long) number * PAGE);
                byte[] back = new byte[PAGE];
                buffer.flip().get(back);
                if (Arrays.equals(back, page("jna", number))) good++;
                channel.write(ByteBuffer.wrap(page("java", number)), (long) number * PAGE);
                libc.pread(one, memory, new NativeLong(PAGE), new NativeLong((long) number * PAGE));
                if (Arrays.equals(memory.getByteArray(0, PAGE), page("java", number))) good++;
            }
            System.out.println("channel beside JNA " + good);
        }

        System.out.println("dup2 " + (libc.dup2(one, two) == two) + " " + pread(two, PAGE, 30L * PAGE) + " "
                + pwrite(two, page("through two", 0), 7L * PAGE) + " " + pread(one, PAGE, 7L * PAGE));
        System.out.println("two " + shorted(Files.readAllBytes(Path.of("two"))));
        System.out.println("append " + libc.fcntl(two, 4, O_RDWR | O_APPEND) + " "
                + libc.ftruncate(one, new NativeLong(300_000)) + " " + pread(one, 9000, 295_000));
        // Java's own numbers, whose meaning JNA changes under them.
        make("three");
        make("four");
        try (RandomAccessFile three = new RandomAccessFile("three", "rw");
                RandomAccessFile four = new RandomAccessFile("four", "rw")) {
            System.out.println("Java's own " + checkAll(three, "three") + " " + checkAll(four, "four"));
            System.out.println("dup2 " + (libc.dup2(number(four), number(three)) == number(three)) + " "
                    + checkAll(three, "four") + " " + checkAll(four, "four"));
            for (int round = 0; round < 50; round++)
                three.getChannel().write(ByteBuffer.wrap(page("into four", round)), round * 2L * PAGE);
            System.out.println("append " + libc.fcntl(number(four), 4, O_RDWR | O_APPEND));
            for (int round = 0; round < 50; round++) four.write(page("appended", round));
            System.out.println("three " + shorted(Files.readAllBytes(Path.of("three"))) + " four "
                    + shorted(Files.readAllBytes(Path.of("four"))));
        }
        // A number that no other thread of the JVM is given meanwhile: the lowest that are free it takes for its jars.
        int high = libc.dup2(two, 900);
        libc.close(two);
        System.out.println("close " + libc.close(high) + " " + pread(high, 10, 0));
        int again = libc.open("two", O_RDWR, 0);
        System.out.println("again " + (again >= 0) + " " + checkAll(again, "two") + " fsync " + libc.fsync(again));

        // What Elasticsearch and Cassandra do when they start: files with holes must not be filled by what we map.
        try (RandomAccessFile sparse = new RandomAccessFile("sparse", "rw")) {
            sparse.setLength(64 << 20);
            sparse.seek(32 << 20);
            for (int number = 0; number < PAGES; number++) sparse.write(page("sparse", number));
        }
        try (FileChannel sparse = opened("sparse")) {
            int good = readSparse(sparse);
            System.out.println("mlockall " + libc.mlockall(1 | 2) + " " + (good + readSparse(sparse)) + " munlockall "
                    + libc.munlockall());
        }
        Process blocks = new ProcessBuilder("stat", "--format=%s %b", "sparse").start();
        System.out.print(new String(blocks.getInputStream().readAllBytes()));
        for (int fd : new int[] {one, again}) libc.close(fd);
        System.out.println(shorted(Files.readAllBytes(Path.of("one"))) + " "
                + shorted(Files.readAllBytes(Path.of("two"))));
    }
}
