// Reads of 4 KiB at random places of a file of 128 MB: by RandomAccessFile (lseek and read), or by FileChannel (pread).
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.SplittableRandom;

final class Files implements Driver.Workload {
    private static final int PAGE = 4096;
    private static final int PAGES = 32768;
    private static final int WARM_UP = 30_000;
    private static final int READS = 750_000;

    private final Path path;
    private final boolean randomAccess;
    private final SplittableRandom random = new SplittableRandom(16);
    private final ByteBuffer buffer;
    private RandomAccessFile file;
    private FileChannel channel;
    private long sum;

    Files(Path directory, boolean randomAccess) {
        this.path = directory.resolve("pages");
        this.randomAccess = randomAccess;
        this.buffer = (randomAccess ? ByteBuffer.allocate(PAGE) : ByteBuffer.allocateDirect(PAGE))
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public void prepare() throws IOException {
        SplittableRandom content = new SplittableRandom(17);
        ByteBuffer page = ByteBuffer.allocate(PAGE);
        try (FileChannel out = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (int i = 0; i < PAGES; i++) {
                page.clear();
                while (page.hasRemaining()) page.putLong(content.nextLong());
                page.flip();
                while (page.hasRemaining()) out.write(page);
            }
        }
    }

    @Override
    public void open() throws IOException {
        if (randomAccess) file = new RandomAccessFile(path.toFile(), "r");
        else channel = FileChannel.open(path, StandardOpenOption.READ);
    }

    // Of the page's words at the ends and in the middle, so that summing up costs little beside the read.
    private void add() {
        sum = sum * 31 + buffer.getLong(0) + buffer.getLong(PAGE / 2) + buffer.getLong(PAGE - 8);
    }

    private void read(int count) throws IOException {
        for (int i = 0; i < count; i++) {
            long at = (long) random.nextInt(PAGES) * PAGE;
            if (randomAccess) {
                file.seek(at);
                file.readFully(buffer.array());
            } else {
                buffer.clear();
                while (buffer.hasRemaining() && channel.read(buffer, at + buffer.position()) > 0) continue;
            }
            add();
        }
    }

    @Override
    public void warmUp() throws IOException {
        for (int i = 0; i < 5; i++) read(WARM_UP / 5);
    }

    @Override
    public void phase() throws IOException {
        // In several calls, so that a loop compiled while it ran does not have to be left in the middle.
        for (int i = 0; i < 50; i++) read(READS / 50);
    }

    @Override
    public String data() {
        return Long.toHexString(sum);
    }

    @Override
    public void close() throws IOException {
        if (file != null) file.close();
        if (channel != null) channel.close();
    }
}
