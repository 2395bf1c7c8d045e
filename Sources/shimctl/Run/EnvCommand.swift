import ArgumentParser
import CShimSys
import FoundationEssentials

/// `shimctl env`: the variables for a service, to be pasted.
struct EnvCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env",
        abstract: "Print the variables a program is to be started with, checked and quoted.",
        discussion: """
            Checks the options and every PMEMSHIM_* variable as run does, and prints what run would set: LD_PRELOAD \
            and the PMEMSHIM_* variables. So no variable is written by hand for a service.

            FORMATS
              sh              export lines for a shell, which `eval` takes
              systemd         a section [Service], for a drop-in (systemctl edit NAME)
              debian-cluster  /etc/postgresql/VERSION/CLUSTER/environment
              docker          a file for docker run --env-file; the paths are those inside the container
              json            an object of names and values

            EXAMPLES
              shimctl env --mount /mnt/pmem
              eval "$(shimctl env --mount /mnt/pmem)"
              shimctl env --profile mariadb --mount /mnt/pmem/mysql --format systemd

            EXIT STATUS
              0; 64 for a bad option or PMEMSHIM_* value, 69 if libpmemshim.so is not found
            """)

    @OptionGroup var options: ShimOptions

    @Option(help: ArgumentHelp("What the lines are for.", valueName: "format"))
    var format = EnvironmentText.Format.sh

    func run() throws {
        try Complaint.reported(by: "env") {
            let setup = try ShimSetup(options, program: nil)
            setup.warnWhereNothingIsServed(by: "env")
            let variables = setup.allVariables
            if format == .json {
                return try Output.json(Dictionary(uniqueKeysWithValues: variables.map { ($0.name, $0.value) }))
            }
            let text = try EnvironmentText(variables: variables).text(format)
            try Output.line(format == .systemd ? "[Service]\n" + text : text)
        }
    }
}

extension ShimSetup {
    /// All that a program needs which inherits nothing of this environment; those that are unset are left out.
    var allVariables: [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        for name in ["LD_PRELOAD"] + settingNames {
            let change = changes.first { $0.name == name }
            if let value = change.map(\.value) ?? inherited[name], !value.isEmpty { result.append((name, value)) }
        }
        return result
    }

    /// Those that the library reads.
    private var settingNames: [String] {
        ps_setting.all.filter { $0 != .library && $0 != .profiles }.map(\.variable)
    }
}
