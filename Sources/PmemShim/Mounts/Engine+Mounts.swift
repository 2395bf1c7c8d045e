import CShimSys
import Synchronization

/// Whether a file is ours, and why not.
enum Placement {
    case served(mount: UInt32)
    /// Not on a mount of ours: not counted, not logged.
    case foreign
    /// On a mount of ours, but its backing cannot be served.
    case unservable
}

extension Engine {
    /// Finds the mount of the regular file `fd`, whose facts are `facts`.
    ///
    /// DAX files are found by their own attribute (STATX_ATTR_DAX: per file, always current, no list of mounts to read
    /// and keep), those of an attached device by its registration, all others by the served tree they lie in: by mount
    /// id where the tree is a whole mount, by the kernel's own name for the open file (/proc/self/fd) otherwise, so
    /// that links, `..`, chroot and openat need no path logic here.
    func place(_ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts) -> Placement {
        let found = placeOnMount(held, fd, facts)
        // Their pages are not simply their bytes.
        let odd = UInt64(PS_ATTRIBUTE_ENCRYPTED) | UInt64(PS_ATTRIBUTE_COMPRESSED) | UInt64(PS_ATTRIBUTE_VERITY)
        if facts.attributes & odd != 0, case .served = found { return .unservable }
        return found
    }

    private func placeOnMount(_ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts) -> Placement {
        readTrees(held)
        let isDAX = facts.attributes & UInt64(PS_ATTRIBUTE_DAX) != 0
        if let tree = treeOf(held, fd, facts) {
            return mountEntry(held, fd, facts, tree: tree, isDAX: isDAX)
        }
        return isDAX || isAttached(held, fd, facts) ? mountEntry(held, fd, facts, tree: nil, isDAX: isDAX) : .foreign
    }

    private func treeOf(_ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts) -> UInt32? {
        let mounts = mounts(held)
        guard mounts.pointee.trees > 0 else { return nil }
        var isOfTree = false
        for index in 0..<mounts.pointee.trees {
            let tree = tree(held, index)
            if tree.pointee.pathLength == 0 { resolve(held, tree) }
            guard tree.pointee.pathLength != 0, tree.pointee.mountIdentifier == facts.mount,
                // A kernel that does not tell mounts apart.
                facts.mount != 0 || tree.pointee.device == facts.device
            else {
                // One that cannot be resolved now may lie on this mount later.
                if tree.pointee.pathLength == 0 { isOfTree = true }
                continue
            }
            if tree.pointee.isWholeMount != 0 { return index }
            isOfTree = true
        }
        guard isOfTree || !mounts.pointee.elsewhere.has(facts) else { return nil }
        let path = scratch(held)
        let location = UnsafeMutableRawPointer(path).assumingMemoryBound(to: CChar.self)
        let count = ps_sys_location(fd, location, longestPath)
        guard count > 0, count < longestPath else { return nil }
        for index in 0..<mounts.pointee.trees where isInside(held, path, count, tree(held, index)) {
            // What the kernel calls "/memfd:x (deleted)", or "/SYSV00000000 (deleted)", lies in no directory: its mount
            // is none that anybody has made.
            guard isOfTree || isMounted(held, fd) else { break }
            return index
        }
        if !isOfTree { mounts.pointee.elsewhere.add(facts) }
        return nil
    }

    private func isInside(
        _ held: LockHeld, _ path: UnsafePointer<UInt8>, _ count: Int, _ tree: UnsafeMutablePointer<ServedTree>
    ) -> Bool {
        let length = Int(tree.pointee.pathLength)
        guard length > 0, length < count else { return false }
        for index in 0..<length where path[index] != tree.path[index] { return false }
        return length == 1 || path[length] == slash  // the tree "/" holds everything
    }

    /// Reads PMEMSHIM_MOUNTS once per process.
    private func readTrees(_ held: LockHeld) {
        let mounts = mounts(held)
        guard !mounts.pointee.treesRead else { return }
        mounts.pointee.treesRead = true
        let start = Settings.current.pointee.mounts
        guard let text = Settings.text(start) else { return }
        var list = MountList(text)
        while mounts.pointee.trees < UInt32(Arena.trees), let item = list.next() {
            // The text stays as it is: a forked child, which has nothing else, reads it again.
            let entry = tree(held, mounts.pointee.trees)
            entry.pointee = ServedTree(
                mountIdentifier: 0, device: 0, text: start &+ UInt32(item.start), textLength: UInt32(item.count),
                allowsPageCache: item.allowsPageCache ? 1 : 0, pathLength: 0, isWholeMount: 0, isRefused: 0)
            mounts.pointee.trees &+= 1
        }
        if list.sawBadItem { Settings.bad("PMEMSHIM_MOUNTS has an item that is not an absolute directory: left out") }
        if let note = Settings.text(Settings.current.pointee.bad) {
            refuse(held, "", UnsafeBufferPointer(start: UnsafePointer(note), count: length(note)))
        }
    }

    private func resolve(_ held: LockHeld, _ tree: UnsafeMutablePointer<ServedTree>) {
        guard let text = Settings.text(tree.pointee.text) else { return }
        // The canonical path comes to lie over the one that was given.
        let length = Int(tree.pointee.textLength)
        guard length < longestPath else { return }  // longer than any path the kernel takes, and than the room
        for index in 0..<length { tree.path[index] = text[index] }
        tree.path[length] = 0
        let path = UnsafeMutablePointer<CChar>(OpaquePointer(tree.path))
        var facts = ps_file_facts()
        var magic: Int64 = 0
        guard ps_sys_facts_of_path(path, &facts) == 0 else {
            return refuse(
                held, tree, "PMEMSHIM_MOUNTS: there is no such directory, or it is closed to this user: ", length)
        }
        let count = ps_sys_directory(path, path, longestPath &- 1, &magic)
        guard count > 0, count < longestPath &- 1 else {
            return refuse(held, tree, "PMEMSHIM_MOUNTS: that is no directory: ", length)
        }
        tree.pointee.mountIdentifier = facts.mount
        tree.pointee.device = facts.device
        tree.pointee.isWholeMount = facts.attributes & UInt64(PS_ATTRIBUTE_MOUNT_ROOT) != 0 ? 1 : 0
        tree.pointee.pathLength = UInt32(count)
    }

    /// Says, once per process, why a directory that was named is not served.
    private func refuse(
        _ held: LockHeld, _ tree: UnsafeMutablePointer<ServedTree>, _ reason: StaticString, _ length: Int
    ) {
        guard tree.pointee.isRefused == 0 else { return }
        tree.pointee.isRefused = 1
        refuse(held, reason, UnsafeBufferPointer(start: UnsafePointer(tree.path), count: length))
    }

    private func mountEntry(
        _ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts, tree: UInt32?, isDAX: Bool
    ) -> Placement {
        let mounts = mounts(held)
        let treeKey = (tree.map { $0 &+ 1 } ?? 0) | (isDAX ? Mount.dax : 0)
        for index in 0..<mounts.pointee.mounts {
            let known = mount(index)
            guard known.pointee.identifier == facts.mount, known.pointee.device == facts.device,
                known.pointee.tree == treeKey
            else { continue }
            return known.pointee.backing == PS_BACKING_NONE ? .unservable : .served(mount: index)
        }
        guard let index = freeMount(held) else { return .foreign }
        let entry = mount(index)
        if isDAX { Settings.noteDAX() }
        let isAsked = tree.map { self.tree(held, $0).pointee.allowsPageCache != 0 } ?? false
        let backing = Backing.of(fd, isDAX: isDAX, allowsPageCache: isAsked || isAttached(held, fd, facts))
        entry.pointee = Mount(
            identifier: facts.mount, device: facts.device, tree: treeKey, backing: backing,
            hasHugePages: false, statisticsIndex: min(index, UInt32(PS_STATS_MOUNTS) &- 1), pathLength: 0)
        describe(held, entry, fd, tree: tree)
        if backing != PS_BACKING_MEMORY, Backing.tellsExtents(fd) { findPages(held, entry, fd, facts) }
        mounts.pointee.mounts = max(mounts.pointee.mounts, index &+ 1)
        show(
            held, mount: index, backing: UInt32(backing.rawValue),
            path: UnsafeBufferPointer(start: UnsafePointer(entry.path), count: Int(entry.pointee.pathLength)))
        if let tree, backing == PS_BACKING_NONE {
            let named = self.tree(held, tree)
            refuse(
                held, named,
                isAsked
                    ? "PMEMSHIM_MOUNTS: this file system is never served: "
                    : "PMEMSHIM_MOUNTS: served only with :pagecache behind the directory, if at all: ",
                Int(named.pointee.pathLength))
        }
        return backing == PS_BACKING_NONE ? .unservable : .served(mount: index)
    }

    /// Takes the mount point, and whether a tmpfs has huge pages, from the mount's line in /proc/self/mountinfo.
    private func describe(
        _ held: LockHeld, _ entry: UnsafeMutablePointer<Mount>, _ fd: Int32, tree: UInt32?
    ) {
        let isMemory = entry.pointee.backing == PS_BACKING_MEMORY
        if let tree {
            let source = self.tree(held, tree)
            name(held, entry, UnsafeBufferPointer(start: source.path, count: Int(source.pointee.pathLength)))
        }
        withMountInfo(held, fd) { line in
            entry.pointee.hasHugePages = isMemory && line.mayUseHugePages
            if tree == nil { name(held, entry, line.point) }
        }
    }

    private func name(_ held: LockHeld, _ entry: UnsafeMutablePointer<Mount>, _ path: UnsafeBufferPointer<UInt8>) {
        let count = min(path.count, Int(PS_STATS_PATH) &- 1)
        for index in 0..<count { entry.path[index] = path[index] }
        entry.path[count] = 0
        entry.pointee.pathLength = UInt32(count)
    }

    /// An entry for one more mount: a fresh one, or one that no file in use is on. The first ones stay, whose figures
    /// are shown by name.
    private func freeMount(_ held: LockHeld) -> UInt32? {
        let mounts = mounts(held)
        guard mounts.pointee.mounts >= UInt32(Arena.mounts) else { return mounts.pointee.mounts }
        for index in UInt32(PS_STATS_MOUNTS)..<UInt32(Arena.mounts) where mount(index).pointee.files == 0 {
            return index
        }
        return nil
    }

    /// Whether the file's mount is one of this process's: the kernel has mounts of its own, for files without names.
    private func isMounted(_ held: LockHeld, _ fd: Int32) -> Bool {
        var found = false
        withMountInfo(held, fd) { _ in found = true }
        return found
    }

    /// Reads /proc/self/mountinfo piece by piece into the scratch room and hands over the line of the mount of `fd`.
    func withMountInfo(_ held: LockHeld, _ file: Int32, _ body: (MountInfo) -> Void) {
        var identifier: UInt64 = 0
        guard ps_sys_mount_number(file, &identifier) == 0 else { return }
        let name: StaticString = "/proc/self/mountinfo"
        let fd = ps_sys_open(UnsafePointer<CChar>(OpaquePointer(name.utf8Start)), OpenFlag.closeOnExec, 0)
        guard fd >= 0 else { return }
        let scratch = scratch(held)
        var filled = 0
        while filled < Arena.scratchLength {
            let count = ps_sys_read(Int32(truncatingIfNeeded: fd), scratch + filled, Arena.scratchLength &- filled)
            guard count > 0 else { break }
            filled &+= count
            let text = UnsafeBufferPointer(start: UnsafePointer(scratch), count: filled)
            if let line = MountInfo.find(identifier, in: text) {
                body(line)
                break
            }
            // Keep the unfinished last line, drop the rest.
            var lineStart = filled
            while lineStart > 0, scratch[lineStart &- 1] != newline { lineStart &-= 1 }
            for index in lineStart..<filled { scratch[index &- lineStart] = scratch[index] }
            filled &-= lineStart
        }
        _ = ps_sys_close(Int32(truncatingIfNeeded: fd))
    }
}

/// What holds a file's bytes, told by its file system.
enum Backing {
    /// `memory` for tmpfs and ramfs; `pagecache` for others where asked for, except those whose pages in a mapping are
    /// not simply the file's bytes as every reader sees them (ps_file_systems.h).
    ///
    /// `isDAX`: the file says that it is on DAX. Overlayfs and virtiofs say so of files that lie elsewhere, too.
    static func of(_ fd: Int32, isDAX: Bool, allowsPageCache: Bool) -> ps_backing {
        var magic: Int64 = 0
        guard ps_sys_file_system(fd, &magic) == 0, !ps_is_never_served(magic) else { return PS_BACKING_NONE }
        if isDAX { return PS_BACKING_DAX }
        if ps_is_memory(magic) { return PS_BACKING_MEMORY }
        return allowsPageCache ? PS_BACKING_PAGECACHE : PS_BACKING_NONE
    }

    /// Whether the file system tells where on its block device a file lies (ps_file_systems.h).
    static func tellsExtents(_ fd: Int32) -> Bool {
        var magic: Int64 = 0
        return ps_sys_file_system(fd, &magic) == 0 && ps_tells_extents(magic)
    }
}
