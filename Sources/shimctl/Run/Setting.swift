import CShimSys

/// The settings by name: a table for the engine, shimctl and the documents (Sources/CShimSys/settings.def).
extension ps_setting {
    /// In the order of the table.
    static let all = (0..<PS_SETTINGS.rawValue).compactMap(ps_setting.init(rawValue:))

    /// The name of the environment variable: `PMEMSHIM_MOUNTS`.
    var variable: String { String(cString: ps_setting_name(self)) }

    /// Variables that only tests and scripts of this repository read, which export them.
    static let testVariables: [String] = {
        var names: [String] = []
        while let name = ps_test_variable(names.count) { names.append(String(cString: name)) }
        return names
    }()
}
