"""What the driver `programs` works on, the same each time: programs_data.py tree|text|sources|modules DIRECTORY"""

import os
import random
import sys

WORDS = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=3 + i % 9)) for i in range(4000)]


def lines(generator, size):
    """Text of about so many bytes, in lines."""
    found, length = [], 0
    while length < size:
        line = " ".join(generator.choices(WORDS, k=generator.randint(4, 14)))
        found.append(line)
        length += len(line) + 1
    return "\n".join(found) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def tree(directory):
    """1,500 files, most of them small, as in a repository: 12 MB. Every tenth has a line that grep is to find."""
    generator = random.Random(16)
    for i in range(1500):
        size = generator.choice([200, 1000, 2000, 4000, 6000, 9000, 14000, 30000])
        text = lines(generator, size) + ("the needle in file %d\n" % i if i % 10 == 0 else "")
        write(f"{directory}/part{i % 12}/section{i % 60}/file{i}.txt", text)


def text(directory):
    generator = random.Random(17)
    pieces = [lines(generator, 100_000) for _ in range(30)]
    with open(f"{directory}/text", "w", encoding="ascii") as file:
        for _ in range(300):
            for line in generator.choice(pieces).splitlines():
                # Each line another, so that sorting has to compare.
                file.write(f"{generator.getrandbits(32):x} {line}\n")


def function(generator, name):
    body = "\n".join(
        f"    for (int i{n} = 0; i{n} < count; i{n}++) total += (long)values[i{n}] * {generator.randint(2, 99)} ^ i{n};"
        for n in range(generator.randint(3, 6)))
    return (f"long {name}(const int *values, int count)\n{{\n    long total = {generator.randint(1, 9)};\n{body}\n"
            f"    if (total > {generator.randint(10, 99)}) printf(\"%ld %s\\n\", total, \"{name}\");\n"
            f"    return total;\n}}\n")


def sources(directory):
    generator = random.Random(18)
    write(f"{directory}/source/all.h",
          "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n" +
          "".join(f"long f{i}_{n}(const int *values, int count);\n" for i in range(10) for n in range(12)))
    for i in range(10):
        write(f"{directory}/source/unit{i}.c",
              '#include "all.h"\n\n' + "\n".join(function(generator, f"f{i}_{n}") for n in range(12)))


def modules(directory):
    generator = random.Random(19)
    for i in range(300):
        methods = "\n".join(
            f"    def {generator.choice(WORDS)}_{n}(self, value):\n"
            f"        total = value * {generator.randint(2, 99)}\n"
            f"        return [total + i for i in range({generator.randint(2, 9)}) if i % 2 == total % 2]\n"
            for n in range(8))
        write(f"{directory}/modules/package{i % 20}/module{i}.py",
              f'"""Module {i}."""\n\nTOTAL = {generator.randint(1, 9999)}\n\n\nclass Class{i}:\n{methods}')
    imports = "".join(f"import package{i % 20}.module{i} as m{i}\n" for i in range(300))
    write(f"{directory}/modules/everything.py",
          imports + "print(sum((" + ", ".join(f"m{i}.TOTAL" for i in range(300)) + ")))\n")


if __name__ == "__main__":
    {"tree": tree, "text": text, "sources": sources, "modules": modules}[sys.argv[1]](sys.argv[2])
