import CShimSys

/// The settings by name: a table for the engine, shimctl and the documents (Sources/CShimSys/settings.def).
extension ps_setting {
    /// In the order of the table.
    static let all = (0..<PS_SETTINGS.rawValue).compactMap(ps_setting.init(rawValue:))

    /// The name of the environment variable: `PMEMSHIM_MOUNTS`.
    var variable: String { String(cString: ps_setting_name(self)) }

    /// Calls of a process before its first file is looked at, for people.
    static var firstCalls: String { Figures.count(UInt64(PS_FIRST_AFTER_USUAL.rawValue)) }

    /// Variables that only tests and scripts of this repository read, which export them.
    static let testVariables: [String] = {
        var names: [String] = []
        while let name = ps_test_variable(names.count) { names.append(String(cString: name)) }
        return names
    }()
}
