#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The manual: each public name has its page, each option of the command is in socktally(1), each protocol
in socktally-paths(7), and mandoc finds nothing wrong."""
import glob
import os
import re
import shutil
import subprocess

import place
import tap

SOCKTALLY = os.environ.get("SOCKTALLY", os.path.join(place.SOURCES, "build/socktally"))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


PAGES = {os.path.basename(path): text_of(path)
         for path in sorted(glob.glob(os.path.join(place.SOURCES, "man/*.[0-9]")))}
HEADERS = {os.path.basename(path): text_of(path)
           for path in glob.glob(os.path.join(place.SOURCES, "include/socktally/*.h"))}
ALL_PAGES = "\n".join(PAGES.values()).replace("\\&", "").replace("\\-", "-")


def code_of(header):
    """Without comments."""
    return re.sub(r"/\*.*?\*/", "", header, flags=re.S)


def names_of(page):
    """What stands in the page's NAME section."""
    section = page[page.index(".Sh NAME"):page.index(".Nd")]
    return set(re.findall(r"^\.Nm (\S+)", section, re.M))


def functions():
    declared = set()
    for header in HEADERS.values():
        for declaration in re.findall(r"^SOCKTALLY_API [^;]*;", code_of(header), re.M):
            declared.add(re.search(r"(\w+)\(", declaration)[1])
    described = {}
    for name, page in PAGES.items():
        for function in names_of(page) if name.endswith(".3") else ():
            described.setdefault(function, []).append(name)
            if function.startswith("socktally_"):
                tap.ok(f".Fn {function}" in page, f"{name}: how {function} is called")
    tap.same(sorted(name for name in declared if len(described.get(name, [])) != 1), [],
             "each function has exactly one page")
    tap.same(sorted(set(described) - declared - {"socktally"}), [],
             "no page has a function that isn't there")


def other_names():
    """Structs, constants and macros are in some page; the numbers of protocols are a list."""
    names = set()
    for file in ("socktally.h", "plugin.h"):
        code = code_of(HEADERS[file])
        names |= set(re.findall(r"^struct (socktally_\w+) \{", code, re.M))
        names |= set(re.findall(r"^#define (SOCKTALLY_\w+)", code, re.M))
        names |= set(re.findall(r"^\t(SOCKTALLY_\w+)(?: = [^,\n]*)?,", code, re.M))
    guards = {name for name in names if name.endswith(("_H", "_API", "_UNION", "_PROTOCOL"))}
    words = set(re.findall(r"\w+", ALL_PAGES))
    tap.same(sorted(names - guards - words), [], "each struct, constant and macro is in a page")


def members():
    """What a caller can set in an options struct is explained."""
    for struct, body in re.findall(r"^struct (socktally_(?:\w+_opts|sink)) \{(.*?)^\};",
                                   code_of(HEADERS["plugin.h"]), re.M | re.S):
        wanted = set(re.findall(r"(\w+);", body)) - {"reserved"}
        tap.same(sorted(wanted - set(re.findall(r"\w+", ALL_PAGES))), [],
                 f"the members of struct {struct} are in a page")


def options():
    page = re.sub(r"\\&", "", PAGES["socktally.1"])
    flags = set(re.findall(r"\.?\bFl (-?[\w-]+)", page))
    # what the shim asks a broker for is no option of anybody's
    commands = re.findall(r"^  socktally (\w+)", subprocess.run(
        [SOCKTALLY, "--help"], capture_output=True, text=True, check=True).stdout, re.M)
    commands = sorted(set(commands) - {"COMMAND"})
    tap.ok(len(commands) > 5, f"commands: {' '.join(commands)}")
    for command in commands:
        text = subprocess.run([SOCKTALLY, command, "--help"], capture_output=True, text=True,
                              check=True).stdout
        lines = "\n".join(re.findall(r"^ +(-.*?)(?:  |$)", text, re.M))
        given = set(re.findall(r"(?<![\w-])-(-[a-z][\w-]*|[a-zA-Z](?![\w-]))", lines))
        tap.same(sorted(given - flags), [], f"{command}: each option is in socktally(1)")
        tap.ok(f".Cm {command}\n" in page, f"{command} is in socktally(1)")


def paths():
    page = PAGES["socktally-paths.7"]
    page = page[page.index(".Ss Names"):page.index(".Ss Patterns")]
    names = re.findall(r'^SOCKTALLY_PROTOCOL\(\d+, \w+, "([^"]*)"',
                       text_of(os.path.join(place.SOURCES, "include/socktally/protocols.def")), re.M)
    tap.same(sorted(re.findall(r"\.Cm (\S+)", page)), sorted(set(names) - {"dlt", "number", "type0", "type1", "type2", "type3"}),
             "socktally-paths(7) has each protocol")


def references():
    known = {(name, page.rsplit(".", 1)[1]) for page, text in PAGES.items()
             for name in names_of(text) | {page.rsplit(".", 1)[0]}}
    asked = set(re.findall(r"^(?:\.|.* )Xr (socktally\S*) (\d)", "\n".join(PAGES.values()), re.M))
    tap.same(sorted(asked - known), [], "pages refer to pages that there are")


def lint():
    if shutil.which("mandoc") is None:
        tap.skip("mandoc -Tlint", "needs mandoc")
        return
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning",
                           *(os.path.join(place.SOURCES, "man", name) for name in PAGES)],
                          capture_output=True, text=True, check=False)
    tap.same((done.returncode, done.stdout + done.stderr), (0, ""), "mandoc -Tlint is content")


def main():
    tap.time_limit(60)
    functions()
    other_names()
    members()
    options()
    paths()
    references()
    lint()
    tap.done()


main()
