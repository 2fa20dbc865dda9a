#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""--format html: a page that html5lib finds no fault with, that asks for nothing from elsewhere, whose
numbers are those of JSON, and which sorts and folds in a browser (Chromium, if there is one)."""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import captures
import place
import tap

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian has it, whichever Python this is
try:
    import html5lib
except ImportError:
    html5lib = None

HELPER = place.helper("report_rows")
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
SVG = "{http://www.w3.org/2000/svg}"
FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
NAMES = ("eth", "vlan", "ip", "ipv6", "udp", "tcp", "vxlan", "gre", "mpls", "icmp", "arp", "sctp", "esp", "dns", "tls")
HOSTILE = ("<script>alert(1)</script>", "</title><script>", "\"' onclick=x() ", "]]>--><!--", "a&lt;b&", "\x1b[31m\n\u202e",
           "</style>", "\udcff", "x" * 300)
COLUMNS = {"packets": 1, "bytes": 3, "in": 5, "out": 6, "accepted": 7, "accepted_bytes": 8}


def page_of(text, *source):
    done = subprocess.run([HELPER, "html", *source], input=text.encode(), capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def document(page, what):
    """The page as a tree, read by the rules of HTML, in which a fault is one."""
    if not html5lib:
        tap.skip(what, "no html5lib")
        return None
    try:
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
        tap.ok(True, f"{what}: html5lib finds no fault")
        return tree
    except html5lib.html5parser.ParseError as error:
        tap.ok(False, f"{what}: html5lib finds no fault", f"{error}")
        return None


def text_of(cell):
    data = cell.find(".//data")
    return data.get("value") if data is not None else "".join(cell.itertext()).strip().replace(",", "")


def rows_of(tree):
    """{path: cells} of the tree of protocols."""
    rows, stack = {}, []
    for row in tree.findall(".//table[@id='tree']/tbody/tr"):
        cells = [text_of(cell) for cell in row.findall("td")]
        stack[int(row.get("data-d")):] = [cells[0]]
        rows[":".join(stack)] = cells
    return rows


def sums_of(report):
    sums = {}
    for row in report["paths"]:
        layers = row["path"].split(":")
        for depth in range(1, len(layers) + 1):
            node = sums.setdefault(":".join(layers[:depth]), dict.fromkeys(COLUMNS, 0))
            for key in ("packets", "bytes", "accepted_bytes"):
                node[key] += row[key]
            node["accepted"] += row["accepted_packets"]
            node[row["direction"]] += row["packets"]
    return sums


def lines_of(generator, count):
    paths = set()
    while len(paths) < count:
        paths.add(":".join(["eth"] + [generator.choice(NAMES) for _ in range(generator.randrange(1, 9))]))
    lines = []
    for path in sorted(paths):
        packets = int(10**generator.uniform(0, 9))
        lines.append(f"{path} {generator.choice(('in', 'out'))} {packets} {packets + 3} {packets * generator.randrange(60, 1500)} "
                     f"{packets // 2} {packets * 60}\n")
    return "".join(lines) + "report 1767225600 1767225660\n"


def numbers(generator):
    text = lines_of(generator, 60)
    source = "socket", "eth0", "eth", "812", "tcpdump", "port 53"
    tree = document(page_of(text, *source), "60 paths")
    if tree is None:
        return
    report = json.loads(subprocess.run([HELPER, "json", *source], input=text.encode(), capture_output=True, check=True).stdout)
    want = {path: {key: str(number) for key, number in node.items()} for path, node in sums_of(report).items()}
    have = {path: {key: cells[at] for key, at in COLUMNS.items()} for path, cells in rows_of(tree).items()}
    tap.same(have, want, f"the numbers of the table are those of JSON (SEED={SEED})")
    tiles = {"".join(tile.find("dt").itertext()): text_of(tile.find("dd")) for tile in tree.findall(".//dl/div")}
    totals = report["totals"]
    tap.same((tiles["packets"], tiles["bytes"], tiles["accepted packets"].split()[0], tiles["segments on the wire"]),
             (str(totals["packets"]), str(totals["bytes"]), str(totals["accepted_packets"]), str(totals["segments"])),
             "the numbers at its head are the totals")
    areas, total = {}, totals["bytes"]
    for group in tree.findall(f".//{SVG}svg/{SVG}g"):
        box = group.find(f"{SVG}rect")
        areas[group.find(f"{SVG}title").text.split(": ")[0]] = float(box.get("width")) * float(box.get("height")) / (960 * 240)
    wrong = {row["path"]: (areas.get(row["path"]), row["bytes"] / total) for row in report["paths"] if row["bytes"] > 0.02 * total
             if abs(areas.get(row["path"], 0) - row["bytes"] / total) > 0.002}
    tap.ok(areas and not wrong and abs(sum(areas.values()) - 1) < 0.01, "the areas of the map are the bytes", wrong)


def alone(page, what):
    tap.ok(not re.search(r"\b(src|href|action)\s*=|url\(|@import|//[a-z]", re.sub(r"https?://www\.w3\.org/\S*", "", page), re.I),
           f"{what}: nothing from elsewhere")


def hostile():
    for name in HOSTILE:
        done = subprocess.run([HELPER, "html", "socket", name.encode("utf-8", "surrogateescape"), "eth", "1",
                               name.encode("utf-8", "surrogateescape"), name.encode("utf-8", "surrogateescape")],
                              input=b"eth:ip in 1 1 60 1 60\nreport 1 2\n", capture_output=True, check=True)
        page = done.stdout.decode()
        shown = ascii(name[:20])
        tree = document(page, shown)
        tap.same((page.count("<script>"), page.count("</script>"), page.count("<style>"), page.count("</style>"), page.count("<title>")),
                 (1, 1, 1, 1, 1 + page.count("<g><title>")), f"{shown}: no elements of its own")
        tap.ok(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page), f"{shown}: nothing that steers")
        if tree is not None and name.isprintable() and "\udcff" not in name:
            tap.same(tree.find(".//h1").text.strip(), f"{name} (pid 1) on {name} (eth)", f"{shown}: is shown as it is")


def reports():
    """Pages of files: intervals, classes, more than one file."""
    packets = captures.sample("\n".join(["eth/ip/udp(dport=53)/data(30)", "eth/ip/tcp(dport=80)/data(100)", "eth/arp"] * 5), 10**9)
    path = os.path.join(FOLDER.name, "a<b.pcap")
    with open(path, "wb") as file:
        file.write(captures.pcap(packets))
    page = os.path.join(FOLDER.name, "page.html")
    status, _, err = captures.run("read", "--format", "html", "-I", "3", "--class", "web=tcp port 80 and not udp", "-f", "udp", "-o", page, path, path)
    tap.ok(status == 0 and not err, "a page of intervals", err)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    alone(text, "a page of files")
    tree = document(text, "a page of files")
    _, lines, _ = captures.run("read", "--format", "json", "-I", "3", path, path)
    tap.ok(f"{len(lines.splitlines())} intervals" in text, "the graph has all intervals")
    _, line, _ = captures.run("read", "--format", "json", "--class", "web=tcp port 80 and not udp", "-f", "udp", path, path)
    if tree is not None:
        want = sums_of(json.loads(line))
        have = {name: cells[1] for name, cells in rows_of(tree).items()}
        tap.same(have, {name: str(node["packets"]) for name, node in want.items()}, "with intervals, the table is of all of them")
        cells = [text_of(cell) for cell in tree.findall(".//table")[1].findall("tbody/tr/td")]
        (row,) = json.loads(line)["classes"]
        tap.same([cells[at] for at in (0, 1, 2, 4, 6)], [row["name"], row["expression"], *(str(row[key]) for key in ("packets", "bytes", "accepted_packets"))],
                 "classes")
        tap.same([item.text.strip() for item in tree.findall(".//li")], [path, path], "which files")
    groups(path, page)
    for arguments, words in ((["-I", "3"], "-o"), (["-o", page, "--each"], "--each"), (["-o", page, "--append"], "--append")):
        status, out, err = captures.run("read", "--format", "html", *arguments, path)
        tap.ok(status == 2 and not out and captures.one_line(err) and words in err, f"{' '.join(arguments[:1])}: refused", err)


def groups(path, page):
    by = "ip.src,ip.proto"
    _, line, err = captures.run("read", "--format", "json", "--by", by, path)
    status, _, err = captures.run("read", "--format", "html", "--by", by, "-o", page, path)
    with open(page, encoding="utf-8") as file:
        tree = document(file.read(), "a page of groups")
    (group,) = json.loads(line)["groups"]
    tap.ok(status == 0 and not err and group["rows"], "there are groups", err)
    if tree is None:
        return
    rows = [[text_of(cell) for cell in row.findall("td")] for row in tree.findall(".//table")[1].findall("tbody/tr")]
    tap.same(sorted((row[2], row[4]) for row in rows if row[0] not in ("other", "none")),
             sorted((str(row["packets"]), str(row["bytes"])) for row in group["rows"]), "groups: the numbers of JSON")


PROBE = """
var log = [];
window.onerror = function (text) { log.push('error ' + text); };
function first(column) {
  return Array.prototype.map.call(document.querySelectorAll('#tree tbody tr[data-d="1"]'), function (row) {
    var cell = row.cells[column], data = cell.querySelector('data');
    return data ? data.value : cell.textContent.replace(/,/g, '').trim();
  });
}
function shown() {
  return Array.prototype.filter.call(document.querySelectorAll('#tree tbody tr'), function (row) { return row.offsetHeight; }).length;
}
var heads = document.querySelectorAll('#tree th button'), out = {};
out.all = shown();
heads[3].click(); out.bytes = first(3);
heads[3].click(); out.upward = first(3);
heads[0].click(); out.names = first(0);
var cell = document.querySelector('#tree tbody tr[data-d="0"] td');
cell.click(); out.folded = shown();
cell.click(); out.unfolded = shown();
var parents = document.querySelectorAll('#tree tr[data-d="1"].folds');
parents[0].cells[0].click(); out.one = shown();
var before = getComputedStyle(document.body).backgroundColor;
document.getElementById('theme').click();
out.themes = [before, getComputedStyle(document.body).backgroundColor];
out.wide = document.documentElement.scrollWidth <= innerWidth;
document.title = JSON.stringify(out);
"""


def browser(generator):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    page = page_of(lines_of(generator, 500), "socket", "eth0", "eth", "812", "tcpdump", "port 53")
    tap.ok(len(page.encode()) < 300_000, f"500 paths: {len(page.encode())} bytes (SEED={SEED})")
    alone(page, "500 paths")
    document(page, "500 paths")
    if not chromium:
        tap.skip("in a browser", "no Chromium")
        return
    path = os.path.join(FOLDER.name, "browser.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(page.replace("</script>", PROBE + "</script>"))
    done = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=1200,900",
                           f"--user-data-dir={FOLDER.name}/profile", "--dump-dom", f"file://{path}"], capture_output=True, timeout=120,
                          check=False, env={**os.environ, "HOME": FOLDER.name})
    title = re.search("<title>(.*?)</title>", done.stdout.decode(errors="replace"), re.S)
    tap.ok(done.returncode == 0 and not re.search(b"CONSOLE|Uncaught|Refused", done.stderr), "a browser: opens without an error",
           done.stderr.decode(errors="replace")[-2000:])
    try:
        out = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    except (TypeError, ValueError):
        tap.ok(False, "a browser: the script ran", title and title[1][:500])
        return
    tap.same(out["bytes"], sorted(out["bytes"], key=lambda number: -int(number)), "a browser: sorts by bytes, most first")
    tap.same(out["upward"], sorted(out["upward"], key=int), "a browser: and the other way")
    tap.same(out["names"], sorted(out["names"]), "a browser: sorts by name")
    tap.same((out["folded"], out["unfolded"]), (1, out["all"]), "a browser: folds and unfolds")
    tap.ok(1 < out["one"] < out["all"], "a browser: folds a part", out["one"])
    tap.ok(out["themes"][0] != out["themes"][1], "a browser: light and dark", out["themes"])
    tap.ok(out["wide"], "a browser: not wider than its window")


def main():
    tap.time_limit(200)
    generator = random.Random(SEED)
    numbers(generator)
    hostile()
    reports()
    browser(generator)
    tap.done()


main()
