// H2 and Derby inside the process, through JDBC, with a cache much smaller than the table: look-ups by primary key, or
// updates of one row with a commit each.
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.SplittableRandom;

final class Sql implements Driver.Workload {
    /** Of each engine: how many operations take about a second natively. */
    enum Engine {
        H2(200_000, 30_000, 12_000, 50_000, 14_000),
        DERBY(100_000, 40_000, 14_000, 40_000, 14_000);

        final int rows;
        final int selects;
        final int updates;
        final int warmSelects;
        final int warmUpdates;

        Engine(int rows, int selects, int updates, int warmSelects, int warmUpdates) {
            this.rows = rows;
            this.selects = selects;
            this.updates = updates;
            this.warmSelects = warmSelects;
            this.warmUpdates = warmUpdates;
        }
    }

    private static final int PAGE_KIB = 4;

    private final Engine engine;
    private final Path directory;
    private final boolean updates;
    private final SplittableRandom random = new SplittableRandom(16);
    private Connection connection;
    private PreparedStatement statement;
    private long sum;

    Sql(Engine engine, Path directory, boolean updates) {
        this.engine = engine;
        this.directory = directory;
        this.updates = updates;
    }

    // With a cache of so many KiB.
    private void connect(int cache) throws SQLException {
        if (engine == Engine.H2) {
            // Nothing is rewritten in the background, which would come when it likes.
            connection = DriverManager.getConnection("jdbc:h2:file:" + directory.toAbsolutePath()
                    + "/h2;CACHE_SIZE=" + cache
                    + ";AUTO_COMPACT_FILL_RATE=0;MAX_COMPACT_TIME=0;DB_CLOSE_ON_EXIT=FALSE");
        } else {
            // Its home is where `java` told it, in the directory. 40 pages is the least that it takes.
            System.setProperty("derby.storage.pageCacheSize", String.valueOf(Math.max(40, cache / PAGE_KIB)));
            connection = DriverManager.getConnection("jdbc:derby:derby;create=true");
        }
    }

    // 200 characters that do not compress, and say which row and which version of it they belong to.
    private static String text(long row, long version) {
        SplittableRandom letters = new SplittableRandom(row * 1_000_003 + version);
        StringBuilder text = new StringBuilder(200);
        while (text.length() < 192) text.append(Long.toHexString(letters.nextLong() | 1L << 63));
        return text.append("########").toString();
    }

    @Override
    public void prepare() throws SQLException {
        connect(64 * 1024);
        connection.setAutoCommit(false);
        try (Statement create = connection.createStatement()) {
            create.execute("CREATE TABLE item "
                    + "(id INT PRIMARY KEY, counter BIGINT NOT NULL, text VARCHAR(200) NOT NULL)");
        }
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO item VALUES (?, 0, ?)")) {
            for (int row = 0; row < engine.rows; row++) {
                insert.setInt(1, row);
                insert.setString(2, text(row, 0));
                insert.addBatch();
                if (row % 1000 == 999) {
                    insert.executeBatch();
                    connection.commit();
                }
            }
        }
        connection.commit();
    }

    @Override
    public void open() throws SQLException {
        connect(engine == Engine.H2 ? 1024 : 160);
        connection.setAutoCommit(true);
        statement = connection.prepareStatement(updates
                ? "UPDATE item SET counter = counter + ? WHERE id = ?"
                : "SELECT counter, text FROM item WHERE id = ?");
    }

    private void select(int count) throws SQLException {
        for (int i = 0; i < count; i++) {
            statement.setInt(1, random.nextInt(engine.rows));
            try (ResultSet found = statement.executeQuery()) {
                if (!found.next()) throw new SQLException("a row is missing");
                sum = sum * 31 + found.getLong(1) + found.getString(2).hashCode();
            }
        }
    }

    private void update(int count) throws SQLException {
        for (int i = 0; i < count; i++) {
            statement.setLong(1, random.nextInt(1000));
            statement.setInt(2, random.nextInt(engine.rows));
            if (statement.executeUpdate() != 1) throw new SQLException("a row is missing");
        }
    }

    @Override
    public void warmUp() throws SQLException {
        if (updates) update(engine.warmUpdates);
        else select(engine.warmSelects);
    }

    @Override
    public void phase() throws SQLException {
        if (updates) update(engine.updates);
        else select(engine.selects);
    }

    @Override
    public String data() throws SQLException {
        if (!updates) return Long.toHexString(sum);
        try (Statement query = connection.createStatement();
                ResultSet found = query.executeQuery("SELECT id, counter, text FROM item ORDER BY id")) {
            while (found.next())
                sum = (sum * 31 + found.getInt(1)) * 31 + found.getLong(2) * 7 + found.getString(3).hashCode();
        }
        return Long.toHexString(sum);
    }

    @Override
    public void close() throws SQLException {
        if (connection == null) return;
        connection.close();
        if (engine == Engine.DERBY) {
            try {
                DriverManager.getConnection("jdbc:derby:derby;shutdown=true").close();
            } catch (SQLException done) {
                // 08006 is how Derby says that the database is shut down.
                if (!"08006".equals(done.getSQLState())) throw done;
            }
        }
    }
}
