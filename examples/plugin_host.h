/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* "--plugin FILE[,paths=N][,broker=PATH]" for a tool that has no such option: copy it, and plugin.h. */
#include <dlfcn.h>
#include <socktally/plugin.h>
#include <stdio.h>
#include <string.h>

/*
 * Loads the library that the argument names, which is cut up, and makes a meter: the library's table;
 * or NULL, with the reason on stderr. The library stays loaded until the tool ends.
 */
static const struct socktally_plugin *plugin_load(char *argument, struct socktally **meter)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts)};
	const struct socktally_plugin *plugin;
	char *file = strtok(argument, ","), *option, more;
	void *library = file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;

	plugin = library ? dlsym(library, SOCKTALLY_PLUGIN_SYMBOL) : NULL;
	if (!plugin) {
		fprintf(stderr, "--plugin: %s\n", file ? dlerror() : "no file given");
		return NULL;
	}
	while ((option = strtok(NULL, ","))) {
		if (!strncmp(option, "broker=", 7)) {
			opts.broker = option + 7;
		} else if (sscanf(option, "paths=%u%c", &opts.paths, &more) != 1) {
			fprintf(stderr, "--plugin %s: makes no sense: '%s'\n", file, option);
			return NULL;
		}
	}
	if (plugin->abi != SOCKTALLY_PLUGIN_ABI)
		fprintf(stderr, "--plugin %s: has ABI %u, this tool ABI %u\n", file, plugin->abi,
			SOCKTALLY_PLUGIN_ABI);
	else if (plugin->create(meter, &opts))
		fprintf(stderr, "--plugin %s: %s\n", file, plugin->error(NULL));
	else
		return plugin;
	return NULL;
}
