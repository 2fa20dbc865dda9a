#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The rooms of the source, and who may see whom: docs/architecture.md, as rules.

Each failure names the file and the rule that it breaks."""
import collections
import functools
import os
import re
import subprocess

import place
import tap

# What a room may include and call, beside itself, public headers, and bpf/'s (which are data that the
# kernel and the library share). A room that is not here is not known.
LIBRARY = {
    "plugin/bpf": (),
    "plugin/translate": ("plugin/bpf",),
    "plugin/meter": ("plugin/bpf",),
    "plugin/count": ("plugin/meter",),
    "plugin/apps": ("plugin/count",),
    "plugin/hooks": ("plugin/meter", "plugin/bpf", "plugin/count"),
    "plugin/classes/ruleset": ("plugin/translate",),
    "plugin/classes": ("plugin/classes/ruleset", "plugin/translate", "plugin/meter", "plugin/bpf", "plugin/count",
                       "plugin/hooks"),
    "plugin/groups": ("plugin/meter", "plugin/bpf", "plugin/count", "plugin/hooks", "plugin/translate"),
    "plugin/remote": ("plugin/meter", "proto"),
    "plugin/attach": ("plugin/meter", "plugin/bpf", "plugin/count", "plugin/translate", "plugin/classes",
                      "plugin/remote"),
    "plugin": ("plugin/meter", "plugin/count", "plugin/apps", "plugin/hooks", "plugin/classes", "plugin/groups",
               "plugin/attach", "plugin/remote"),
}
COMMAND = {
    "tools/common": (),
    "tools/filter_text": (),
    "tools/proc": ("tools/common",),
    "tools/capture": ("tools/common",),
    "tools/content": ("tools/common", "tools/capture"),
    "tools/html": ("tools/common", "tools/capture", "tools/content"),
    "tools/formats": ("tools/common", "tools/capture", "tools/content", "tools/html"),
    "tools/report": ("tools/common", "tools/filter_text", "tools/content", "tools/formats"),
    "tools/saved": ("tools/common", "tools/capture", "tools/content"),
    "tools/flows": ("tools/content",),
    "tools/listen": ("tools/common", "tools/report", "tools/formats"),
    "tools/options": ("tools/common", "tools/report", "tools/formats", "tools/listen"),
    "tools/server": ("proto",),
    "tools/service": ("tools/common", "tools/options", "tools/server", "proto"),
    "tools/broker": ("tools/common", "tools/filter_text", "tools/options", "tools/proc", "tools/report", "tools/server",
                     "tools/service", "proto"),
    "tools/attach": ("tools/common", "tools/filter_text", "tools/listen", "tools/options", "tools/proc", "tools/report",
                     "tools/formats"),
    "tools/list": ("tools/common", "tools/filter_text", "tools/options", "tools/proc", "tools/report"),
    "tools/diff": ("tools/common", "tools/capture", "tools/content", "tools/formats", "tools/options",
                   "tools/report", "tools/saved"),
    "tools/lost": ("tools/common", "tools/capture", "tools/content", "tools/options", "tools/report", "tools/formats",
                   "tools/saved"),
    "tools/features": ("tools/common", "tools/options", "tools/proc", "tools/report"),
    "tools/run": ("tools/common", "tools/options", "tools/proc", "tools/report", "tools/broker", "tools/attach",
                  "tools/lost", "proto"),
    "tools/watch": ("tools/common", "tools/listen", "tools/options", "tools/report"),
    "tools/read": ("tools/common", "tools/capture", "tools/content", "tools/flows", "tools/options", "tools/report",
                   "proto"),
    "tools": ("tools/common", "tools/run", "tools/read", "tools/watch", "tools/diff", "tools/broker", "tools/attach",
              "tools/list", "tools/features"),
}
ROOMS = {
    **LIBRARY, **COMMAND,
    "proto": (),
    "preload": ("proto",),
    "bpf": (), "bpf/parse": ("bpf",), "bpf/apps": ("bpf", "bpf/parse"), "bpf/hooks": (),
    "build-aux": (),
}
# The library's own headers that the command sees, each with the reason why the public ones do not do.
PRIVATE = {
    "plugin/apps/flow_id.h": "read: the flow of a packet",
    "plugin/attach/attach.h": "attach, list: a socket's filter; the service: a program for a socket; features: trying",
    "plugin/attach/linktype.h": "attach: the link type of a socket, for its report",
    "plugin/attach/saved_filter.h": "attach, detach, list: what killed meters have left",
    "plugin/bpf/direct.h": "features: whether programs read in place",
    "plugin/classes/classes.h": "the broker: classes for the link of a socket that its worker serves",
    "plugin/meter/attachment.h": "the broker and its worker: a socket on the meter",
    "plugin/bpf/syscall.h": "features, list: trying what the kernel has, looking a program up",
    "plugin/count/path.h": "read: the layers of a path",
    "plugin/count_packets.h": "read, diff: many packets in one call",
    "plugin/hooks/builtin.h": "--hook: what takes which argument",
    "plugin/translate/translate.h": "list: whether a filter can be translated",
}
# Never in these, whatever they include.
BLIND = {"plugin/translate": "plugin/meter", "plugin/classes/ruleset": "plugin/meter", "plugin/bpf": "plugin/meter"}
LARGEST = 20  # files that a room may have
FOLDERS = ("bpf", "build-aux", "plugin", "preload", "proto", "tools")


def sources():
    for folder in FOLDERS:
        for where, names, files in os.walk(os.path.join(place.SOURCES, folder)):
            names.sort()
            for name in sorted(files):
                # an object file of a build in the source tree, or what it has generated
                if name.endswith((".c", ".h", ".def")) and not name.endswith((".bpf.h", "index.h")):
                    yield os.path.relpath(os.path.join(where, name), place.SOURCES)


@functools.lru_cache(maxsize=None)
def includes(path):
    with open(os.path.join(place.SOURCES, path), encoding="utf-8") as file:
        return re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read(), re.M)


def there(path):
    """Also what the build makes, at the same place: of a BPF program, and of the list of applications."""
    if path == "bpf/apps/index.h":
        return True
    source = re.sub(r"\.bpf\.h$", ".bpf.c", path)
    return os.path.exists(os.path.join(place.SOURCES, source))


def room(path):
    """Where a file belongs. What runs in the kernel is above the headers that it shares with the library."""
    return "programs" if re.fullmatch(r"bpf/\w+\.bpf\.[ch]", path) else os.path.dirname(path)


def may_see(path, other):
    mine, its = room(path), room(other)
    if mine == its or its == "bpf" or mine == "programs":
        return True
    if its in ROOMS.get(mine, ()):
        return True
    if mine.startswith("plugin"):
        return its in ("bpf/parse", "bpf/apps", "bpf/hooks", "programs")
    if mine.startswith("tools"):
        return other in PRIVATE
    return False


def closure(path):
    seen, todo = set(), [path]
    while todo:
        for other in includes(todo.pop()):
            if other not in seen and os.path.exists(os.path.join(place.SOURCES, other)):
                seen.add(other)
                todo.append(other)
    return seen


def ring(edges):
    """A path that comes back to where it began, or nothing."""
    done = set()

    def visit(one, path):
        if one in path:
            return path[path.index(one):] + [one]
        if one in done:
            return None
        for other in sorted(edges[one]):
            found = visit(other, path + [one])
            if found:
                return found
        done.add(one)
        return None

    for one in sorted(edges):
        found = visit(one, [])
        if found:
            return " -> ".join(found)
    return ""


def list_rules(paths):
    wrong = [f"{path}: includes {other}, which is no path from the top of the sources"
             for path in paths for other in includes(path) if not there(other)]
    tap.same(wrong, [], "includes are paths from the top, or <socktally/...>")
    tap.same([path for path in paths if room(path) not in ROOMS and room(path) != "programs"], [],
             "each file is in a room that is known")
    wrong = [f"{path}: includes {other}: {room(path)} must not see {room(other)}"
             for path in paths for other in includes(path) if there(other) and not may_see(path, other)]
    tap.same(wrong, [], "rooms see only what they may see")
    wrong = [f"{path}: comes to see {other}: {room(path)} must not see {BLIND[room(path)]}"
             for path in paths if room(path) in BLIND for other in closure(path) if room(other) == BLIND[room(path)]]
    tap.same(wrong, [], "translator, rule set and loader see no meter, whatever they include")
    used = {other for path in paths if path.startswith("tools/") for other in includes(path)}
    tap.same(sorted(set(PRIVATE) - used), [], "each private header on the command's list is needed there")
    edges = collections.defaultdict(set)
    for path in paths:
        edges[room(path)] |= {room(other) for other in includes(path)} - {room(path)}
    tap.same(ring(edges), "", "no ring of includes")
    sizes = collections.Counter(room(path) for path in paths)
    tap.same([f"{name}: {size} files" for name, size in sizes.items() if size > LARGEST], [],
             f"no room has more than {LARGEST} files")


def calls(paths):
    """Which room's objects use symbols of which other."""
    objects = [path[:-2] + ".o" for path in paths if path.startswith(("plugin/", "tools/")) and path.endswith(".c")]
    missing = [name for name in objects if not os.path.exists(os.path.join(place.BUILD, name))]
    if missing:
        tap.skip("calls", f"not built: {missing[0]}")
        return
    defined, used = {}, collections.defaultdict(set)
    for name in objects:
        out = subprocess.run(["nm", os.path.join(place.BUILD, name)], capture_output=True, text=True, check=True)
        for line in out.stdout.splitlines():
            kind, symbol = line.split()[-2:]
            if kind in "TDBRC":
                defined[symbol] = name
            elif kind == "U":
                used[name].add(symbol)
    edges, wrong = collections.defaultdict(set), []
    for name, symbols in used.items():
        for symbol in sorted(symbols & set(defined)):
            mine, its = room(name), room(defined[symbol])
            if mine == its or symbol.startswith("socktally_") and mine.startswith("tools"):
                continue
            edges[mine].add(its)
            if its not in ROOMS[mine] and not (mine.startswith("tools") and its.startswith("plugin")):
                wrong.append(f"{name}: calls {symbol} of {defined[symbol]}: {mine} must not call {its}")
    tap.same(wrong, [], "rooms call only what they may call")
    tap.same(ring(edges), "", "no ring of calls")


def main():
    paths = list(sources())
    tap.ok(len(paths) > 100, "there are sources")
    list_rules(paths)
    calls(paths)
    tap.done()


main()
