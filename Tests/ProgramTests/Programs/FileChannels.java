import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicLong;

/** File channels read, written, mapped and cut by several threads, beside null checks that are SIGSEGVs to the VM. */
public class FileChannels {
    static final int SIZE = 8 << 20;
    static final int THREADS = 3;

    static final class Node {
        Node next;
        int value;
    }

    static byte pattern(long at) {
        return (byte) (at * 7 + (at >> 12) * 13 + (at >> 21) * 101);
    }

    static long hash(long hash, byte[] bytes, int count) {
        for (int i = 0; i < count; i++) hash = (hash ^ (bytes[i] & 0xff)) * 0x100000001b3L;
        return hash;
    }

    static void fill(FileChannel channel) throws IOException {
        byte[] bytes = new byte[1 << 16];
        for (long at = 0; at < SIZE; at += bytes.length) {
            for (int i = 0; i < bytes.length; i++) bytes[i] = pattern(at + i);
            channel.write(ByteBuffer.wrap(bytes), at);
        }
    }

    /** Thrown by the VM out of a fault at address 0, once the loop is compiled. */
    static int nullChecks(int rounds) {
        int caught = 0;
        Node node = new Node();
        for (int i = 0; i < rounds; i++) {
            try {
                node.value += (i % 3 == 0 ? node.next : node).value + 1;
            } catch (NullPointerException expected) {
                caught++;
            }
        }
        return caught;
    }

    static void work(FileChannel channel, int thread, AtomicLong wrong, AtomicLong caught) {
        try {
            ByteBuffer direct = ByteBuffer.allocateDirect(20000);
            ByteBuffer heap = ByteBuffer.allocate(9000);
            // Each thread overwrites a part of its own with what is there already, and reads everywhere.
            long part = SIZE / THREADS, base = part * thread;
            for (int i = 0; i < 4000; i++) {
                ByteBuffer buffer = i % 2 == 0 ? direct : heap;
                long at = (i * 40999L + thread * 777L) % (SIZE - 40000);
                buffer.clear();
                int count = channel.read(buffer, at);
                if (count != buffer.capacity()) wrong.incrementAndGet();
                for (int k = 0; k < count; k += 501) if (buffer.get(k) != pattern(at + k)) wrong.incrementAndGet();
                if (i % 4 == 0) {
                    long to = base + i * 4099L % (part - 40000);
                    buffer.clear();
                    for (int k = 0; k < buffer.capacity(); k++) buffer.put(k, pattern(to + k));
                    if (channel.write(buffer, to) != buffer.capacity()) wrong.incrementAndGet();
                }
                caught.addAndGet(nullChecks(30));
            }
        } catch (IOException failure) {
            System.out.println("thread " + thread + ": " + failure);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path path = Path.of("channels");
        AtomicLong wrong = new AtomicLong(), caught = new AtomicLong();
        try (FileChannel channel = FileChannel.open(
                path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
            fill(channel);
            Thread[] threads = new Thread[THREADS];
            for (int i = 0; i < THREADS; i++) {
                int thread = i;
                threads[i] = new Thread(() -> work(channel, thread, wrong, caught));
                threads[i].start();
            }
            for (Thread thread : threads) thread.join();
            System.out.println("wrong " + wrong + ", null pointers " + caught);

            // Mapped: bytes are seen both ways at once.
            MappedByteBuffer map = channel.map(FileChannel.MapMode.READ_WRITE, 1 << 20, 1 << 20);
            long sum = 0;
            for (int i = 0; i < map.capacity(); i += 64) sum += map.get(i);
            map.put(5000, (byte) 99);
            ByteBuffer seen = ByteBuffer.allocate(8192);
            channel.read(seen, (1 << 20) + 4096);
            seen.put(1000, (byte) 98).flip();
            channel.write(seen, (1 << 20) + 4096);
            map.force();
            System.out.println("map " + sum + " " + seen.get(904) + " " + map.get(5096));

            // At the channel's own position, scattered, gathered, transferred, cut.
            ByteBuffer[] parts = {ByteBuffer.allocate(3000), ByteBuffer.allocateDirect(5000)};
            channel.position(12345);
            System.out.println("scattered " + channel.read(parts) + " at " + channel.position());
            for (ByteBuffer part : parts) part.flip();
            channel.position(12345);
            System.out.println("gathered " + channel.write(parts) + " at " + channel.position());
            try (FileChannel copy = FileChannel.open(
                    Path.of("copy"), StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
                System.out.println("transferred " + channel.transferTo(4096, 1 << 20, copy) + " " + copy.size());
            }
            channel.force(true);
            channel.truncate(SIZE / 2 + 17);
            ByteBuffer end = ByteBuffer.allocate(100000);
            System.out.println("at the end " + channel.read(end, SIZE / 2 - 3000) + " of " + channel.size());
            System.out.println("behind it " + channel.read(ByteBuffer.allocate(10), SIZE));
        }
        long hash = 0xcbf29ce484222325L;
        try (RandomAccessFile file = new RandomAccessFile("channels", "r")) {
            byte[] bytes = new byte[10000];
            for (int count; (count = file.read(bytes)) > 0; ) hash = hash(hash, bytes, count);
            System.out.println("hash " + Long.toHexString(hash) + ", " + file.length() + " bytes");
        }
        try {
            System.out.println(deep(1));
        } catch (StackOverflowError expected) {
            System.out.println("stack overflow caught");
        }
    }

    static long deep(long depth) {
        return depth + deep(depth + 1);
    }
}
