"""What the manual takes from code: the commands of shimctl, settings, reasons, profiles, version and date."""
import email.utils
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from manual_roff import sentence

ROOT = Path(__file__).resolve().parents[2]
# Of the pages while there is no packaging/debian/changelog: the day of their last change.
DATE = "2026-11-30"


class Tool:
    """A built shimctl, which is asked for what its help says."""

    def __init__(self, program):
        self.program = str(Path(program).resolve())

    def says(self, *arguments):
        # Settings of whoever runs this may be wrong, and a terminal may be narrow.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PMEMSHIM_")}
        return subprocess.run([self.program, *arguments], env=environment | {"COLUMNS": "80", "LC_ALL": "C.UTF-8"},
                              check=True, capture_output=True, text=True).stdout

    def command(self):
        """The whole tree, as swift-argument-parser dumps it: without `usage`, and without the groups of subcommands."""
        return json.loads(self.says("--experimental-dump-help"))["command"]

    def usages(self, path, arguments):
        """The lines of usage of a command. Where the parser has left options out since they are many, they are put in.
        """
        text = self.says("help", *path)
        usage = re.search(r"^USAGE: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)[1]
        lines = []
        for line in usage.split("\n"):
            if line.strip().startswith("shimctl"):
                lines.append(line.strip())
            else:
                lines[-1] += " " + line.strip()
        return [line.replace("[<options>]", " ".join(optional(arguments))) for line in lines]

    def groups(self):
        """Names of groups of verbs, and the verbs of each, in the order of the help. One group may have no name."""
        groups, group = [], None
        for line in self.says("--help").split("\n"):
            if (heading := re.fullmatch(r"(?:(.*?):? )?SUBCOMMANDS:", line)):
                group = []
                groups.append(((heading[1] or "").capitalize(), group))
            elif not line.strip():
                group = None
            elif group is not None and (verb := re.match(r"  ([\w-]+)", line)):
                group.append(verb[1])
        return groups


def shown(entries):
    """Commands or arguments that the help shows; its own verb `help` is none of ours."""
    return [entry for entry in entries or [] if entry.get("shouldDisplay", True) and entry.get("commandName") != "help"]


def is_common(argument):
    """Whether every verb has it."""
    return {name["name"] for name in argument.get("names", [])} & {"help", "version"} != set()


def spelling(name):
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def optional(arguments):
    """Options and flags as a usage has them."""
    for argument in shown(arguments):
        if argument["kind"] != "positional" and not is_common(argument):
            value = f" <{argument['valueName']}>" if argument["kind"] == "option" else ""
            yield f"[{spelling(argument['preferredName'])}{value}]" + (" ..." if argument["isRepeating"] else "")


def version():
    """Of ps_version.h, or of shimctl's own source where that is not there."""
    header, source = ROOT / "Sources/CShimSys/include/ps_version.h", ROOT / "Sources/shimctl/Shimctl.swift"
    if header.exists():
        return re.search(r'#define PS_VERSION "([^"]+)"', header.read_text(encoding="utf-8"))[1]
    return re.search(r'versionNumber = "([^"]+)"', source.read_text(encoding="utf-8"))[1]


def date():
    """The same for whoever builds the pages, whenever: of the newest entry in the changelog of the package."""
    changelog = ROOT / "packaging/debian/changelog"
    if changelog.exists():
        entry = re.search(r"^ -- .*>  (.+)$", changelog.read_text(encoding="utf-8"), re.MULTILINE)
        return email.utils.parsedate_to_datetime(entry[1]).strftime("%Y-%m-%d")
    return DATE


def settings(names):
    """The variables of the table of settings; with names (without PMEMSHIM_) only these."""
    rows = subprocess.run([ROOT / "scripts/lib/settings-table", "--rows"], check=True, capture_output=True, text=True)
    found = {}
    for row in rows.stdout.splitlines():
        kind, name, *texts = row.split("\t")
        if kind == "SETTING":
            found[name] = (f"PMEMSHIM_{name} ({texts[0]})", texts[1])
    for name in names:
        if name not in found:
            print(f"manual: there is no setting PMEMSHIM_{name}: left out", file=sys.stderr)
    return [found[name] for name in names or found if name in found]


def reasons(_):
    """Why calls are passed on, and what can be done about it: what Sources/shimctl/Stats/CallFamily.swift says."""
    source = (ROOT / "Sources/shimctl/Stats/CallFamily.swift").read_text(encoding="utf-8")
    source = source[source.index("enum CallOutcome"):]
    cases = re.findall(r"^    case (.+)$", source[:source.index("var name")], re.MULTILINE)
    names, explanations, cures = (swift_cases(source, name) for name in ("name", "explanation", "cure"))
    found = []
    for case in ", ".join(cases).split(", "):
        if case != "served":
            texts = [explanations[case], cures.get(case)]
            found.append((f"`{names.get(case, case)}`", " ".join(sentence(text) for text in texts if text)))
    return found


def swift_cases(source, property_name):
    """What a computed property of an enumeration is for which case, where it is a string."""
    found = re.search(rf"    var {property_name}: String\?? {{\n(.*?)^    }}", source, re.MULTILINE | re.DOTALL)
    texts = {}
    string = r'"(?:[^"\\]|\\.)*"'
    for cases, strings in re.findall(rf"case ([.\w, ]+):\s*((?:(?:\+\s*)?{string}\s*)+)", found[1] if found else ""):
        text = "".join(piece[1:-1].replace('\\"', '"') for piece in re.findall(string, strings))
        texts.update({case.strip(" ."): text for case in cases.split(",")})
    return texts


def profiles(_):
    """The profiles of the package."""
    folder = ROOT / "packaging/profiles"
    found = []
    for path in sorted(folder.glob("*.profile")):
        description = re.search(r"^Description=(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
        found.append((f"`{path.stem}`", sentence(description)))
    if not found:
        print("manual: there is no packaging/profiles/*.profile: left out", file=sys.stderr)
    return found


def profile_keys():
    """The keys that a profile may have, as (section, key): those that its reader takes."""
    reader = ROOT / "Sources/shimctl/Run/Profile.swift"
    if not reader.exists():
        return []
    return re.findall(r'case \("(\w+)", "(\w+)"\)', reader.read_text(encoding="utf-8"))


FACTS = {"settings": settings, "reasons": reasons, "profiles": profiles}
