"""Line coverage per room of the house, and the functions nobody called, from llvm-cov's export.

Usage: coverage.py EXPORT.json ROOT TOOLCHAIN
"""

import collections
import json
import pathlib
import subprocess
import sys


def room_of(path):
    """The room a source file belongs to; nothing for headers.

    Headers are left out: their inline functions are compiled into Swift by the importer, which does not count, so what
    is counted for them is only what C made of them.
    """
    if path.suffix not in (".c", ".swift"):
        return None
    if path.parts[1] in ("PmemShimEmbedded", "PmemShim"):
        return path.parts[2]
    return path.parts[1]


def relative(name, root):
    path = pathlib.Path(name)
    if not path.is_relative_to(root):
        return None
    path = path.relative_to(root)
    # The engine is compiled through a symbolic link.
    return pathlib.Path(*("PmemShim" if part == "PmemShimEmbedded" else part for part in path.parts))


def rooms(data, root):
    found = collections.defaultdict(list)
    for file in data["files"]:
        path = relative(file["filename"], root)
        room = path and room_of(path)
        if room:
            found[room].append((path, file["summary"]["lines"]))
    return found


def share(covered, count):
    return f"{100 * covered / count:5.1f} %" if count else "      -"


def print_table(found):
    order = ["Mounts", "Windows", "Transfer", "Durability", "Device", "Observe", "Ground", "ShimC", "CShimSys"]
    order = [room for room in order if room in found] + sorted(set(found) - set(order))
    print(f"{'room':<12} {'files':>5} {'lines':>6} {'executed':>8} {'share':>7}   least covered file")
    everything = [0, 0, 0]
    for room in order:
        files = found[room]
        count = sum(lines["count"] for _, lines in files)
        covered = sum(lines["covered"] for _, lines in files)
        path, least = min(files, key=lambda file: file[1]["percent"] if file[1]["count"] else 100)
        print(
            f"{room:<12} {len(files):>5} {count:>6} {covered:>8} {share(covered, count)}"
            f"   {path.name} {least['percent']:.0f} %"
        )
        everything = [a + b for a, b in zip(everything, [len(files), count, covered])]
    print(f"{'all':<12} {everything[0]:>5} {everything[1]:>6} {everything[2]:>8} {share(everything[2], everything[1])}")


def never_executed(data, root):
    """Functions of which no copy was entered: {(path, line): name}.

    A generic function or an inlined one is there several times; the place of its first region says that it is the same.
    The right sides of && and || are functions to Swift, too, but not to a reader.
    """
    executed = set()
    silent = {}
    for function in data["functions"]:
        path = relative(function["filenames"][0], root)
        if not path or not room_of(path):
            continue
        place = (path, function["regions"][0][0])
        if function["count"] > 0:
            executed.add(place)
        else:
            silent.setdefault(place, function["name"])
    return {place: name for place, name in silent.items() if place not in executed}


def demangled(names, toolchain):
    # Names of C functions with internal linkage come as FILE.c:NAME.
    names = [name.rsplit(":", 1)[-1] for name in names]
    result = subprocess.run(
        [f"{toolchain}/swift-demangle", "--compact", "--simplified"],
        input="\n".join(names), capture_output=True, text=True, check=True,
    )
    return result.stdout.splitlines()


def main():
    export, root, toolchain = sys.argv[1:]
    with open(export, encoding="utf-8") as file:
        data = json.load(file)["data"][0]
    print_table(rooms(data, root))
    silent = never_executed(data, root)
    silent = zip(silent, demangled(silent.values(), toolchain))
    silent = sorted((place, name) for place, name in silent if not name.startswith("implicit closure"))
    print(f"\n{len(silent)} functions were never entered:" if silent else "\nEvery function was entered.")
    for (path, line), name in silent:
        print(f"  {path}:{line}  {name}")
    print("\nThe guarded copies are assembly and not counted; GuardedCopyTests is about them.")


main()
