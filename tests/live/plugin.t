#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A host that knows plugin.h alone, with builds of the library that are older and newer than it: their
tables are shorter and longer."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile

import netns
import place
import tap

CC = shlex.split(os.environ.get("CC", "cc"))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]

# The functions of the table in their order; a host that can do without all but the first three.
with open(os.path.join(place.SOURCES, "include/socktally/plugin.h"), encoding="utf-8") as file:
    HEADER = file.read()
TABLE = HEADER[HEADER.index("struct socktally_plugin {"):]
FUNCTIONS = re.findall(r"\(\*(\w+)\)\(", TABLE[:TABLE.index("\n};")])

HOST = r"""
#include "plugin.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int cell(void *ctx, const struct socktally_cell *got)
{
	(void)ctx;
	return got->path == NULL;
}

int main(int argc, char **argv)
{
	struct { struct socktally_open_opts opts; char later[32]; } wide;
	struct socktally_sink sink;
	struct socktally *meter = NULL;
	const struct socktally_plugin *plugin;
	void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

	if (!library) {
		printf("%s\n", dlerror());
		return 2;
	}
	*(void **)&plugin = dlsym(library, SOCKTALLY_PLUGIN_SYMBOL);
	if (!plugin || plugin->abi != SOCKTALLY_PLUGIN_ABI) {
		printf("another ABI: %u\n", plugin ? plugin->abi : 0);
		return 3;
	}
	printf("%s:", plugin->name);
HAS
	printf("\n");
	if (!SOCKTALLY_PLUGIN_HAS(plugin, create) || !SOCKTALLY_PLUGIN_HAS(plugin, destroy))
		return 4;
	memset(&wide, 0, sizeof(wide));
	wide.opts.sz = sizeof(wide);
	wide.opts.flags = SOCKTALLY_OPEN_USERSPACE;
	if (plugin->create(&meter, &wide.opts) || !meter)
		return 5;
	memset(&sink, 0, sizeof(sink));
	sink.sz = sizeof(sink);
	sink.cell = cell;
	if (SOCKTALLY_PLUGIN_HAS(plugin, snapshot) && plugin->snapshot(meter, &sink, NULL))
		return 6;
	if (SOCKTALLY_PLUGIN_HAS(plugin, poll) && plugin->poll(meter, 0))
		return 7;
	plugin->destroy(meter);
	wide.later[31] = 1;
	printf("later: %d\n", plugin->create(&meter, &wide.opts));
	return 0;
}
"""

# A library with another table: the members up to `last`, and some that nobody knows yet behind it.
VARIANT = r"""
#define socktally_plugin today
#include <socktally/socktally.h>
#undef socktally_plugin
static int set_filter(struct socktally *meter, int fd, const void *insns, size_t count)
{
	return socktally_set_filter(meter, fd, insns, count);
}
static int snapshot(struct socktally *meter, const struct socktally_sink *sink, void *ctx)
{
	return sink ? socktally_snapshot(meter, sink->cell, ctx, NULL) : -22;
}
static int unknown(void)
{
	__builtin_trap();
}
struct table {
	uint32_t abi, size;
	const char *name, *version;
	void (*function[MEMBERS])(void);
};
__attribute__((visibility("default"))) extern const struct table socktally_plugin;
const struct table socktally_plugin = {
	ABI, sizeof(socktally_plugin), "variant", "0.0",
	{ FUNCTIONS }
};
"""
NAMES = {"create": "socktally_open", "destroy": "socktally_close", "set_filter": "set_filter",
         "snapshot": "snapshot"}


def compile_to(output, text, *flags, compiler=None, language="c"):
    subprocess.run([*(compiler or CC), "-x", language, *flags, "-o", output, "-"], input=text,
                   text=True, check=True)


def variant(folder, name, functions, abi=1):
    """The library's objects with a table of these functions."""
    values = ", ".join("(void (*)(void))" + ("unknown" if function == "unknown" else
                                             NAMES.get(function, f"socktally_{function}"))
                       for function in functions)
    text = (VARIANT.replace("MEMBERS", str(len(functions))).replace("FUNCTIONS", values)
            .replace("ABI", str(abi)))
    path = os.path.join(folder, f"{name}.so")
    compile_to(os.path.join(folder, f"{name}.o"), text, "-std=gnu11", "-fPIC", "-c",
               "-I", os.path.join(place.SOURCES, "include"))
    subprocess.run([*CC, "-shared", "-o", path, os.path.join(folder, f"{name}.o"),
                    os.path.join(place.BUILD, "plugin/library.a"), "-ldl"], check=True)
    return path


def host_of(folder):
    """Compiled in every way that the header promises, in a folder with nothing but the header."""
    alone = os.path.join(folder, "alone")
    os.mkdir(alone)
    shutil.copy(os.path.join(place.SOURCES, "include/socktally/plugin.h"), alone)
    has = "\n".join(f'\tif (SOCKTALLY_PLUGIN_HAS(plugin, {function})) printf(" {function}");'
                    for function in FUNCTIONS)
    text = HOST.replace("HAS\n", has + "\n", 1)
    host = os.path.join(folder, "host")
    for compiler in filter(shutil.which, ("gcc", "clang")):
        for standard in ("c99", "c11"):
            compile_to(host, text, f"-std={standard}", *STRICT, "-I", alone, "-ldl",
                       compiler=[compiler])
            tap.ok(True, f"the header alone with {compiler} as {standard}")
    for compiler in filter(shutil.which, ("g++", "clang++")):
        compile_to(os.path.join(folder, "host++"), HEADER + "\nint main() { return 0; }\n",
                   "-std=c++17", *STRICT, compiler=[compiler], language="c++")
        tap.ok(True, f"and with {compiler} as C++17")
    compile_to(host, text, "-std=c99", *STRICT, "-I", alone, "-ldl")
    return host


def run(host, library):
    done = subprocess.run([host, library], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    netns.need(*CC[:1])
    tap.time_limit(300)
    refused = "later: -7\n"  # -E2BIG
    with tempfile.TemporaryDirectory() as folder:
        host = host_of(folder)
        every = " ".join(FUNCTIONS)
        tap.same(run(host, os.path.join(place.BUILD, "libsocktally.so")),
                 (0, f"socktally: {every}\n{refused}"), "the library as it is: has all")
        for count in (3, FUNCTIONS.index("snapshot") + 1, len(FUNCTIONS) - 1):
            path = variant(folder, f"older{count}", FUNCTIONS[:count])
            tap.same(run(host, path), (0, f"variant: {' '.join(FUNCTIONS[:count])}\n{refused}"),
                     f"an older one with {count} functions: the others are not there")
        newer = variant(folder, "newer", [*FUNCTIONS, "unknown", "unknown"])
        tap.same(run(host, newer), (0, f"variant: {every}\n{refused}"), "a newer one: has all")
        tap.same(run(host, variant(folder, "bare", [])), (4, "variant:\n"), "one with no function")
        tap.same(run(host, variant(folder, "other", FUNCTIONS, abi=2)), (3, "another ABI: 2\n"),
                 "one with another ABI: refused")
        symbols = subprocess.run(["nm", "-u", host], capture_output=True, text=True, check=True).stdout
        tap.ok("socktally" not in symbols, "the host is linked with none of them")
    tap.done()


main()
