// What `java prepare|run WORKLOAD DIRECTORY` runs: finds the workload, warms the compiler up, times the phase.
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;

public final class Driver {
    /** A workload: what it does with its data set. All numbers of operations are fixed. */
    interface Workload extends AutoCloseable {
        void prepare() throws Exception;

        void open() throws Exception;

        /** Not timed: as much as the JIT needs, some hundred milliseconds. */
        void warmUp() throws Exception;

        void phase() throws Exception;

        /** What was read, or is left, as a checksum. */
        String data() throws Exception;
    }

    private static final Map<String, Function<Path, Workload>> WORKLOADS = Map.of(
            "random-access-file", directory -> new Files(directory, true),
            "file-channel", directory -> new Files(directory, false),
            "h2-select", directory -> new Sql(Sql.Engine.H2, directory, false),
            "h2-update", directory -> new Sql(Sql.Engine.H2, directory, true),
            "derby-select", directory -> new Sql(Sql.Engine.DERBY, directory, false),
            "derby-update", directory -> new Sql(Sql.Engine.DERBY, directory, true));

    private static long cpu() {
        return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
    }

    public static void main(String[] arguments) throws Exception {
        Function<Path, Workload> make = arguments.length == 3 ? WORKLOADS.get(arguments[1]) : null;
        if (make == null) {
            System.err.println("usage: java prepare|run " + String.join("|", WORKLOADS.keySet()) + " DIRECTORY");
            System.exit(64);
        }
        try (Workload workload = make.apply(Path.of(arguments[2]))) {
            if (arguments[0].equals("prepare")) {
                workload.prepare();
                return;
            }
            workload.open();
            workload.warmUp();
            // What the warm-up has left to collect is not the phase's.
            System.gc();
            cpu();
            long cpu = cpu();
            long wall = System.nanoTime();
            workload.phase();
            long wallUsed = System.nanoTime() - wall;
            long cpuUsed = cpu() - cpu;
            System.out.println("data " + workload.data());
            System.out.println(cpuUsed + " " + wallUsed);
        }
    }
}
