# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The table of real tools, tools.txt: which there are, and the cases of each."""
import collections
import shlex

import place

FILE = place.data("tools.txt")

# name: the program; package and version: Debian's that it was tried with; note: what to know
Tool = collections.namedtuple("Tool", "name package version note")
# number: of the line; command: words; traffic: see tool_run.py; options: OPTIONS with the line's
Case = collections.namedtuple("Case", "number tool command traffic options")

# What is compared, and how: exact, numbers (any number is as good), lines (in any order), words (the
# set of them), no. "files" are those that the tool writes.
COMPARED = ("stdout", "stderr", "files")
TRAFFIC = ("in", "few", "both", "lo", "hosts", "none")
HOW = ("exact", "numbers", "lines", "words", "no")

OPTIONS = {
    "stdout": "exact", "stderr": "exact", "files": "exact",
    "see": "",        # a regular expression: its last match in what the tool says is equal
    "ways": "run",    # "run", "preload" or both
    "end": "INT",     # the signal that ends it; "self": by itself; "key:TEXT": typed on its terminal
    "terminal": "",   # "yes": it runs on one
    "ready": "",      # the text by which it is ready; else it has a receiving socket and is idle
    "sockets": "1",   # how many of its sockets get the traffic
    "filter": "?",    # what the kernel accepts, a tcpdump expression; "?": not known
    "link": "eth",    # "sll": a cooked socket
    "tally": "sent",  # or of what an observer saw: "in", "in+out", "2in+out", ...; "some"; "none"
    "says": "",       # the one line of socktally's own, a regular expression
}


class Error(ValueError):
    """A line that can't be read."""


def options_of(text):
    options = dict(OPTIONS)
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if name not in OPTIONS or not equals:
            raise Error(f"no option {word!r}")
        if name in COMPARED and value not in HOW:
            raise Error(f"{name} can't be compared as {value!r}")
        options[name] = value
    return options


def parse(lines):
    """The cases, and the tools that they belong to."""
    tool = None
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("= "):
                names, note = line[2:].split(" | ", 1)
                tool = Tool(*names.split(), note.strip())
                continue
            command, traffic, *options = (part.strip() for part in line.split(" | "))
            if traffic not in TRAFFIC:
                raise Error(f"no traffic {traffic!r}")
            yield Case(number, tool, shlex.split(command), traffic, options_of(" ".join(options)))
        except (TypeError, ValueError) as error:
            raise Error(f"line {number}: {error}") from error


def read():
    with open(FILE, encoding="utf-8") as lines:
        return list(parse(lines))
