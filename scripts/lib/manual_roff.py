"""From the markup that scripts/lib/manual describes to the requests of man(7)."""
import re

COLUMNS = 78
HEADING = re.compile(r"[A-Z][A-Z0-9 ,-]*[A-Z0-9]")
# What the help calls docs/X.md lies here once it is installed.
DOCUMENTS = "/usr/share/doc/pmemshim/docs/"


class Markup:
    """Writes text as roff. Knows the verbs, and those below them, since "shimctl VERB" is set in bold."""

    def __init__(self, verbs=(), below=()):
        self.verbs = verbs
        names = "|".join(re.escape(verb) for verb in [*below, *verbs])
        self.patterns = re.compile(
            r"`(?P<code>[^`]+)`"
            r"|(?<![\w@/*])\*(?P<emphasis>\w[^*]*)\*(?!\w)"
            r"|(?P<page>[A-Za-z][\w.+-]*)\((?P<section>[1-8])\)"
            # Options, constants and variables, commands, the library.
            r"|(?P<bold>(?<![\w-])--?[A-Za-z][\w-]*|(?<!\S)--(?!\S)"
            r"|\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9*]"
            + (rf"|\bshimctl (?:{names})\b" if names else "") +
            r"|\blibpmemshim\.so\b)"
            r"|(?P<path>(?<![\w.~:/])/[\w@+%*./-]*[\w*])")

    def inline(self, text):
        """One paragraph's text."""
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
        text = re.sub(r"\bdocs/(?=[\w-]+\.md\b)", DOCUMENTS, text)
        written, at = [], 0
        for found in self.patterns.finditer(text):
            written.append(prose(text[at:found.start()]))
            if found["page"]:
                written.append(rf"{bold(found['page'])}({found['section']})")
            elif (words := found["emphasis"] or found["path"]):
                written.append(italic(words))
            else:
                # A command stays on one line.
                written.append(bold(found["code"] or found["bold"]).replace(" ", r"\ "))
            at = found.end()
        return "".join(written) + prose(text[at:])

    def blocks(self, chunks, literal=False, begun=False):
        """Lines of roff for what `parsed` returns. `begun`: a paragraph stands before, in the same section."""
        lines = []
        for kind, content in chunks:
            if kind == "subheading":
                lines.append(f'.SS "{prose(content)}"')
            elif kind == "paragraph":
                lines += ([".PP"] if begun else []) + folded(self.inline(content))
            elif kind == "literal":
                lines += ([".PP"] if begun else []) + [".in +4n", ".EX"] + [verbatim(line) for line in content]
                lines += [".EE", ".in"]
            else:
                for term, text in content:
                    lines += [".TP", guarded(self.inline(term))] + folded(self.inline(text))
            begun = kind != "subheading"
        return lines


def sections(text):
    """The text before the first heading, and a dictionary: heading to text. Headings are lines in upper case."""
    found, heading = {"": []}, ""
    for line in text.split("\n"):
        if HEADING.fullmatch(line):
            heading = line
            found.setdefault(heading, [])
        else:
            found[heading].append(line)
    texts = {heading: "\n".join(lines).strip("\n") for heading, lines in found.items()}
    return texts.pop(""), texts


def parsed(text, literal=False, facts=None):
    """The blocks of a text: ("paragraph" | "subheading", text), ("literal", lines) or ("list", (term, text) pairs).

    `literal`: what is indented is an example. `facts`: what stands for the line "@NAME WORDS": a function of the words
    that returns the pairs of a list.
    """
    for chunk in re.split(r"\n\s*\n", re.sub(r"^(= .*)$", r"\n\1\n", text, flags=re.MULTILINE)):
        lines = [line for line in chunk.split("\n") if line.strip()]
        if not lines:
            continue
        if lines[0].startswith("    ") or literal and lines[0].startswith("  "):
            indent = min(len(line) - len(line.lstrip()) for line in lines)
            yield "literal", [line[indent:] for line in lines]
        elif lines[0].startswith("  "):
            yield items(lines)
        elif lines[0].startswith("@"):
            name, *words = lines[0][1:].split()
            yield "list", facts[name](words)
        elif lines[0].startswith("= "):
            yield "subheading", lines[0][2:]
        else:
            yield "paragraph", " ".join(line.strip() for line in lines)


def items(lines):
    """A list, or a paragraph that is indented, as the help has it below a heading."""
    pairs = []
    for line in lines:
        if line.startswith("   "):
            pairs[-1][1].append(line.strip())
        else:
            term, *text = re.split(r" {2,}", line.strip(), maxsplit=1)
            pairs.append((term, text))
    if all(text for _, text in pairs):
        return "list", [(term, " ".join(text)) for term, text in pairs]
    return "paragraph", " ".join(" ".join([term, *text]) for term, text in pairs)


def statuses(text):
    """An exit status told in one sentence, "0 done; 1 refused, 64 for a bad option", as blocks: the numbers as a list.

    What has no number ("the program's own") is a sentence by itself.
    """
    chunks = []
    for part in re.split(r"; |, (?=\d)", text):
        found = re.match(r"(\d+)(,?)(?: (.*))?$", part)
        if not found:
            chunks.append(("paragraph", sentence(part)))
            continue
        if not chunks or chunks[-1][0] != "list":
            chunks.append(("list", []))
        # "0" and "0, also without figures" are sentences; in a list they are not.
        text = f"success{found[2]} {found[3] or ''}".strip() if found[2] or not found[3] else found[3]
        chunks[-1][1].append((found[1], text))
    return chunks


def usage(line, command):
    """A line of usage as a synopsis: `.SY`, and what follows the command, words in brackets kept together."""
    words, word, depth = [], "", 0
    for piece in line[len(command):].split():
        word += (" " if word else "") + piece
        depth += piece.count("[") - piece.count("]")
        if depth == 0:
            words.append(word)
            word = ""
    words += [word] if word else []
    joined = []
    for word in words:
        # An option keeps its value, and what is repeated its dots.
        value = joined and re.fullmatch(r"--?\w[\w-]*", joined[-1]) and word.startswith("<")
        if word == "..." or value:
            joined[-1] += " " + word
        else:
            joined.append(word)
    lines = folded(" ".join(syntax(word).replace(" ", r"\ ") for word in joined))
    return [f'.SY "{prose(command)}"', *lines]


def syntax(text):
    """Words of a usage: `<value>` is to be replaced, brackets and dots are the notation's, all else is typed."""
    written = []
    for piece in re.findall(r"<[^>]+>|\.\.\.|[][| ]|[^][|<> ]+", text):
        if piece.startswith("<"):
            written.append(italic(piece[1:-1]))
        elif piece in ("...", "[", "]", "|", " "):
            written.append(piece)
        else:
            written.append(bold(piece))
    return "".join(written)


def prose(text):
    """Without markup. The hyphens of words that are names rather than words are typed as they are: minus signs."""
    def word(found):
        name = re.search(r"[._:=/@%\d]", found[0].strip(".,;:()"))
        return found[0].replace("-", r"\-") if name else found[0]
    return re.sub(r"\S+", word, text.replace("\\", r"\e"))


def dashed(text):
    return text.replace("-", r"\-")


def typed(text):
    """As it is typed: with the very characters, which roff would make typographic."""
    for plain, written in (("\\", r"\e"), ("-", r"\-"), ("'", r"\(aq"), ("`", r"\(ga"), ("^", r"\(ha"), ("~", r"\(ti")):
        text = text.replace(plain, written)
    return text


def bold(text):
    return rf"\fB{typed(text)}\fR"


def italic(text):
    return rf"\fI{typed(text)}\fR"


def sentence(text):
    # What begins an enumeration ("mlockall, seccomp or unshare") may be the name of a function.
    if re.match(r"[a-z]+(?!,)\b", text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def folded(text):
    """Lines of at most COLUMNS, each sentence on lines of its own, so that roff sets all ends of sentences alike."""
    words = [word for word in re.split(r"(?<!\\) +", text) if word]
    lines, line = [], ""
    for index, word in enumerate(words):
        ends = bool(re.search(r"[.?!](?:\\fR)?[)\"]*$", word))
        following = words[index + 1] if index + 1 < len(words) else "A"
        if ends and (re.search(r"\.\.\.", word) or following[0].islower()):
            # No end of a sentence, and not to be taken for one where the line ends here.
            word, ends = word + r"\&", False
        if line and len(line) + 1 + len(word) > COLUMNS:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
        if ends:
            lines.append(line)
            line = ""
    return [guarded(line) for line in lines + ([line] if line else [])]


def verbatim(line):
    return guarded(typed(line))


def guarded(line):
    """What begins like a request is none."""
    return r"\&" + line if line[:1] in (".", "'") else line
