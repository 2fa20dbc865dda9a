#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Classes on live sockets: each packet counts where its expression says, by tcpdump's own word."""
import json
import os
import subprocess
import tempfile
import time

import live
import netns
import tap
