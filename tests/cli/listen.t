#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""--listen: what Prometheus and others get, what hostile clients can do, and what the server has."""
import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import live
import metrics
import netns
import packets
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# As Debian's Prometheus asks.
ACCEPT = f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
SENSORS = 20


def get(port, path="/metrics", method="GET", scheme="http", **headers):
    """Status, headers, body."""
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", method=method,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds * tap.PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds} seconds: {what}")
        time.sleep(0.02)


def answers(port):
    with contextlib.suppress(OSError):
        return get(port)[0] == 200
    return False


def start(port, *arguments, command=("watch", "-i", "near"), listen=None):
    err = open(os.path.join(FOLDER.name, f"err{port}"), "w+b")  # pylint: disable=consider-using-with
    process = netns.start([live.SOCKTALLY, *command, "--format", "json", "--listen", listen or str(port),
                           *arguments], stdout=subprocess.PIPE, stderr=err)
    until(lambda: process.poll() is not None or answers(port), f"it listens: {open(err.name).read()}")
    return process, err.name


def server_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return int(file.read().split()[0])


def end(process):
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=20)[0]
    return process.returncode, json.loads(out)


def packets_of(port):
    return metrics.paths(metrics.parsed(get(port, Accept=ACCEPT)[2].decode(), "openmetrics"))


def requests(net):
    process, err = start(9301, "--class", "arp=arp")
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 5 + [packets.frame("eth/ip/udp")] * 7)
    want = {("eth:arp", "in"): 5, ("eth:ip:udp", "in"): 7}
    until(lambda: packets_of(9301) == want, "all packets")
    status, headers, body = get(9301)
    tap.same((status, headers["Content-Type"], metrics.paths(metrics.parsed(body.decode(), "prometheus"))),
             (200, "text/plain; version=0.0.4; charset=utf-8", want), "GET: Prometheus' text format")
    status, headers, body = get(9301, Accept=ACCEPT, Accept_Encoding="gzip")
    found = metrics.parsed(gzip.decompress(body).decode(), "openmetrics")
    tap.same((status, headers["Content-Type"], headers["Content-Encoding"], metrics.paths(found)),
             (200, f"{OPENMETRICS}; charset=utf-8", "gzip", want), "GET: OpenMetrics, compressed")
    tap.same([found[name, frozenset(labels)] for name, labels in (
        ("socktally_up", ()), ("socktally_sockets", [("state", "metered")]), ("socktally_gaps_total", ()))], [1, 1, 0],
             "up, one socket, no gaps")
    tap.same([get(9301, method="HEAD")[0], get(9301, "/")[0], get(9301, "/x")[0], get(9301, method="POST")[0],
              get(9301, "/metrics?a=b")[0]], [200, 200, 404, 405, 200], "HEAD, /, another path, POST, a query")
    server_is_poor(process)
    hostile(process)
    tap.same(packets_of(9301), want, "afterwards: the same counts")
    server = server_of(process)
    os.kill(server, signal.SIGKILL)
    until(lambda: "has ended" in open(err).read(), "a word about the server")
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 3)
    time.sleep(0.2)
    status, report = end(process)
    tap.same((status, report["totals"]["packets"], open(err).read().count("\n")), (0, 15, 1),
             "the server is killed: one line, and counting goes on")


def server_is_poor(process):
    server = server_of(process)
    with open(f"/proc/{server}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    tap.same((status["Uid"].split(), int(status["CapPrm"], 16), int(status["CapAmb"], 16), status["NoNewPrivs"]),
             (["65534"] * 4, 0, 0, "1"), "the server is nobody and has no capability")
    kinds = [os.readlink(f"/proc/{server}/fd/{name}").split(":")[0] for name in os.listdir(f"/proc/{server}/fd")]
    with open(f"/proc/{server}/maps", encoding="ascii") as file:
        mapped = file.read()
    tap.ok(kinds.count("socket") == 2 and "bpf-map" not in mapped and
           not any("bpf" in os.readlink(f"/proc/{server}/fd/{name}") for name in os.listdir(f"/proc/{server}/fd")),
           "it has the port and the socket pair, and nothing of the meter", kinds)


def connect():
    sock = socket.create_connection(("127.0.0.1", 9301), timeout=20)
    return sock


def hostile(process):
    """Whatever they do, the next scrape is answered."""
    held = []
    for i in range(1000):
        with contextlib.suppress(OSError):
            sock = connect()
            sock.send((b"", b"GET /metrics HTTP/1.1\r\nX: ", b"\0\xff\x16\x03\x01" * 20, b"GET / HTTP/9\r\n\r\n",
                       b"A" * 60000)[i % 5])
            held.append(sock)
    tap.ok(len(held) > 900 and get(9301)[0] == 200, f"{len(held)} connections, half requests and garbage")
    slow = connect()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    tap.same(get(9301)[0], 200, "beside a client that does not read")
    for sock in (*held, slow):
        sock.close()
    flood = [connect() for _ in range(50)]
    for sock in flood:
        sock.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    tap.same({sock.recv(12) for sock in flood}, {b"HTTP/1.1 200"}, "fifty at once: an answer for each")
    tap.same(process.poll(), None, "the command is there")


def killed():
    process, _ = start(9302)
    server = server_of(process)
    process.kill()
    process.wait()
    until(lambda: not os.path.exists(f"/proc/{server}") or
          open(f"/proc/{server}/stat").read().split()[2] == "Z", "the server has ended")
    tap.ok(True, "the command is killed: so ends its server")


def attached(net):
    tool = subprocess.Popen([sys.executable, "-c", "import socket; s = socket.socket(17, 3, socket.htons(3));"
                             "s.bind(('near', 3)); print(flush=True); input()"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    tool.stdout.readline()
    process, _ = start(9303, command=("attach", "--follow", str(tool.pid)))
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 4)
    until(lambda: packets_of(9303).get(("eth:arp", "in")) == 4, "attach: the packets")
    tap.same(end(process)[0], 0, "attach --listen")
    tool.kill()
    tool.communicate()


def encrypted():
    if not shutil.which("openssl") or not shutil.which("curl"):
        tap.skip("TLS", "no openssl or no curl")
        return
    key, cert = (os.path.join(FOLDER.name, name) for name in ("key", "cert"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                   capture_output=True)
    process = netns.start([live.SOCKTALLY, "watch", "-i", "near", "--listen", "9304", "--tls-cert", cert, "--tls-key",
                           key], stdout=subprocess.PIPE)
    curl = ["curl", "-s", "--cacert", cert, "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
            "https://127.0.0.1:9304/metrics"]
    done = subprocess.run(curl, capture_output=True, text=True, check=False)
    tap.ok("socktally_build_info" in done.stdout, "TLS, with the certificate checked", done)
    process.kill()
    done = subprocess.run([live.SOCKTALLY, "watch", "-i", "near", "--listen", "9305", "--tls-cert", key, "--tls-key",
                           cert], capture_output=True, text=True, check=False, timeout=30)
    tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1, "key and certificate exchanged: one line", done.stderr)


def refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        used = str(taken.getsockname()[1])
        for listen, status in ((used, 1), ("x", 2), ("example.org:5", 2), ("70000", 2), ("", 2), ("[::1", 2),
                               ("198.51.100.1:80", 1)):
            done = subprocess.run([live.SOCKTALLY, "watch", "-i", "near", "-c", "1", "--listen", listen],
                                  capture_output=True, text=True, check=False, timeout=30)
            tap.ok(done.returncode == status and done.stderr.count("\n") == 1, f"--listen '{listen}': one line, {status}",
                   done.stderr)


def scraped(net):
    """Debian's own Prometheus, and its sums."""
    if not shutil.which("prometheus"):
        tap.skip("Prometheus", "not installed")
        return
    ports = range(9400, 9400 + SENSORS)
    sensors = [start(port) for port in ports]
    config = os.path.join(FOLDER.name, "prometheus.yml")
    with open(config, "w", encoding="ascii") as file:
        file.write("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: socktally\n  static_configs:\n"
                   f"  - targets: {[f'127.0.0.1:{port}' for port in ports]}\n")
    with open(os.path.join(FOLDER.name, "prometheus.log"), "wb") as log:
        server = netns.start(["prometheus", f"--config.file={config}", "--web.listen-address=127.0.0.1:9390",
                              f"--storage.tsdb.path={FOLDER.name}/tsdb"], stdout=log, stderr=log)

    def query(text):
        with contextlib.suppress(OSError, ValueError):
            reply = json.loads(get(9390, "/api/v1/query?" + urllib.parse.urlencode({"query": text}))[2])
            return [float(row["value"][1]) for row in reply["data"]["result"]]
        return None
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 11 + [packets.frame("eth/ip/udp")] * 22)
    until(lambda: query("sum(socktally_packets_total)") == [33 * SENSORS], "PromQL's sum", 60)
    tap.ok(True, f"{SENSORS} sensors: the sum of all is what was sent")
    tap.same(query('sum(socktally_bytes_total{path="eth:arp"})'),
             [11 * len(packets.frame("eth/arp")) * SENSORS], "the sum of a path's bytes")
    tap.same(query("sum(up)"), [SENSORS], "all are up")
    process, _ = sensors[0]
    end(process)
    sensors[0] = start(ports[0])
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 5)
    until(lambda: query(f'resets(socktally_packets_total{{instance="127.0.0.1:{ports[0]}",path="eth:arp"}}[5m])') == [1],
          "the reset", 60)
    tap.ok(True, "a restart is a reset")
    until(lambda: query("sum(socktally_packets_total)") == [(33 + 5) * (SENSORS - 1) + 5], "the sum after it", 60)
    tap.ok(True, "and the sum is right again")
    server.kill()
    server.wait()
    for process, _ in sensors:
        process.kill()
        process.wait()


def main():
    metrics.need()
    live.need()
    tap.time_limit(200)
    net = netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    if subprocess.run([live.SOCKTALLY, "watch", "-i", "near", "-c", "0.1", "--listen", "9300"], capture_output=True,
                      check=False, text=True).stderr.count("built without"):
        tap.skip_all("built without libmicrohttpd")
    requests(net)
    killed()
    attached(net)
    encrypted()
    refused()
    scraped(net)
    tap.done()


main()
