// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* --port udp/NUMBER=PROTOCOL: a tunnel on another UDP port than its own. */
#include "tools/options/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint16_t protocol_number(const char *name, size_t length)
{
	char text[32];

	for (unsigned int number = 1; number <= UINT8_MAX; number++) {
		const uint8_t layer = (uint8_t)number;

		if (socktally_path_text(&layer, 1, text, sizeof(text)) == length &&
		    !memcmp(text, name, length))
			return layer;
	}
	return 0;
}

/* "udp/8473=vxlan", of that length. */
static bool port_read(struct socktally_port *port, const char *text, size_t length)
{
	static const char space[] = "udp/";
	unsigned long number;
	char *end;

	if (strncmp(text, space, strlen(space)) != 0 || text[4] < '0' || text[4] > '9')
		return false;
	errno = 0;
	number = strtoul(text + strlen(space), &end, 10);
	if (errno || !number || number > 65535 || *end != '=')
		return false;
	port->port = (uint16_t)number;
	port->protocol = protocol_number(end + 1, length - (size_t)(end + 1 - text));
	return port->protocol;
}

/* Whether a meter takes these: the library says which protocols have a UDP port. */
static bool port_fits(const struct report_options *options)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = 1,
					   .flags = SOCKTALLY_OPEN_USERSPACE,
					   .ports = options->ports,
					   .port_count = options->port_count};
	struct socktally *meter;
	int error = socktally_open(&meter, &opts);

	if (!error)
		socktally_close(meter);
	return error != -EINVAL;
}

int port_option(struct report_options *options, const char *argument)
{
	for (const char *text = argument;; text++) {
		size_t length = strcspn(text, ",");

		if (options->port_count == SOCKTALLY_MAX_PORTS)
			return command_usage("--port '%s': %d ports at most", argument,
					     SOCKTALLY_MAX_PORTS);
		if (!port_read(&options->ports[options->port_count], text, length))
			return command_usage("--port '%s': must be as udp/8473=vxlan", argument);
		options->port_count++;
		if (!port_fits(options))
			return command_usage(
				"--port '%s': the port is given twice, or that is no "
				"protocol with a UDP port, as vxlan, geneve, gtp, gre, "
				"mpls, l2tp, teredo",
				argument);
		text += length;
		if (!*text)
			return 0;
	}
}
