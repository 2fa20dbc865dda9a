# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Metrics, as the client library of Prometheus reads them."""
import sys

import tap

# Debian's modules, also where another Python comes first.
sys.path.append("/usr/lib/python3/dist-packages")


def need():
    try:
        import prometheus_client  # noqa: F401 # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        tap.skip_all("no python3-prometheus-client")


def parsed(text, form):
    """{(metric, labels): value}; each metric with its labels is there once."""
    # pylint: disable=import-outside-toplevel
    if form == "openmetrics":
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
    else:
        from prometheus_client.parser import text_string_to_metric_families as parse
    found = {}
    for family in parse(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def paths(found, counter="packets"):
    """{(path, direction): count} of the metrics of paths."""
    return {(dict(labels)["path"], dict(labels)["direction"]): value for (name, labels), value in found.items()
            if name == f"socktally_{counter}_total"}
