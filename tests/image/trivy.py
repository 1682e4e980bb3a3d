"""Trivy and `tenon image scan` on one image with one set of advisories: the same packages, the same findings.

    trivy.py IMAGE.tar LOCK FOLDER    TENON and TRIVY name the programs

Trivy's own database cannot be fetched here, so it gets one that is written from the same Debian tracker JSON that
Tenon reads, in Trivy's form (bbolt: https://github.com/etcd-io/bbolt, page.go and db.go; buckets as in trivy-db).
"""
import json
import os
import re
import struct
import subprocess
import sys
import urllib.parse

PAGE = 4096
LEAF, META, FREELIST = 2, 4, 16
TENON, TRIVY = os.environ["TENON"], os.environ["TRIVY"]


def run(*command, ok=(0,)):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in ok:
        sys.exit(f"FAIL: {' '.join(command)} ends with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# One bucket as one leaf page, which overflows into as many pages as it needs; buckets in it stand inline.
def leaf(page_id, items):
    items = sorted((key.encode(), value) for key, value in items.items())
    values = [(1, struct.pack("<QQ", 0, 0) + leaf(0, value)) if isinstance(value, dict) else (0, value) for _, value in items]
    header, data, at = [], [], len(items) * 16
    for i, ((key, _), (flags, value)) in enumerate(zip(items, values)):
        header.append(struct.pack("<IIII", flags, at - i * 16, len(key), len(value)))
        data += [key, value]
        at += len(key) + len(value)
    body = b"".join(header + data)
    overflow = (len(body) + 16 - 1) // PAGE if page_id else 0
    return struct.pack("<QHHI", page_id, LEAF, len(items), overflow) + body


def bolt(path, buckets):
    """Writes a bbolt database: two meta pages, the free list, a page of bucket roots, a page for each bucket."""
    pages, roots, next_page = [], {}, 4
    for name, items in buckets.items():
        page = leaf(next_page, items)
        page += bytes(-len(page) % PAGE)
        roots[name] = struct.pack("<QQ", next_page, 0)
        pages.append(page)
        next_page += len(page) // PAGE
    names = sorted(roots)
    at, header, data = len(names) * 16, [], []
    for i, name in enumerate(names):
        header.append(struct.pack("<IIII", 1, at - i * 16, len(name), 16))
        data += [name.encode(), roots[name]]
        at += len(name) + 16
    root = struct.pack("<QHHI", 3, LEAF, len(names), 0) + b"".join(header + data)
    with open(path, "wb") as f:
        for number in (0, 1):
            meta = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, 3, 0, 2, next_page, number)
            checksum = 0xCBF29CE484222325  # FNV-1a
            for byte in meta:
                checksum = (checksum ^ byte) * 0x100000001B3 & (1 << 64) - 1
            f.write((struct.pack("<QHHI", number, META, 0, 0) + meta + struct.pack("<Q", checksum)).ljust(PAGE, b"\0"))
        f.write(struct.pack("<QHHI", 2, FREELIST, 0, 0).ljust(PAGE, b"\0"))
        f.write(root.ljust(PAGE, b"\0"))
        f.write(b"".join(pages))


def trivy_database(tracker, folder):
    os.makedirs(os.path.join(folder, "db"), exist_ok=True)
    packages, details = {}, {}
    for source, cves in tracker.items():
        rows = {}
        for cve, entry in cves.items():
            release = entry["releases"]["bookworm"]
            details[cve] = json.dumps({"Title": entry["description"]}).encode()
            # trivy-db, pkg/vulnsrc/debian: undetermined entries are left out, "0" means never affected.
            if release["status"] == "undetermined" or release.get("fixed_version") == "0":
                continue
            urgency = {"unimportant": 1, "low": 1, "medium": 2, "high": 3}.get(release["urgency"], 0)
            fixed = release.get("fixed_version", "") if release["status"] == "resolved" else ""
            rows[cve] = json.dumps({"FixedVersion": fixed, "Severity": urgency} if urgency else {"FixedVersion": fixed}).encode()
        if rows:
            packages[source] = rows
    bolt(os.path.join(folder, "db", "trivy.db"), {
        "debian 12": packages,
        "vulnerability": details,
        "data-source": {"debian 12": json.dumps({"ID": "debian", "Name": "Debian Security Tracker"}).encode()},
    })
    with open(os.path.join(folder, "db", "metadata.json"), "w", encoding="ascii") as f:
        json.dump({"Version": 2, "NextUpdate": "2099-01-01T00:00:00Z", "UpdatedAt": "2026-11-24T00:00:00Z",
                   "DownloadedAt": "2026-11-24T00:00:00Z"}, f)


def advisories(sources):
    """For each source package one advisory of every kind."""
    kinds = (
        ("fixed in the next revision", lambda v: {"status": "resolved", "fixed_version": v + "+later", "urgency": "high"}),
        ("fixed in this revision", lambda v: {"status": "resolved", "fixed_version": v, "urgency": "high"}),
        ("fixed long ago", lambda v: {"status": "resolved", "fixed_version": "0~1", "urgency": "low"}),
        ("never affected", lambda v: {"status": "resolved", "fixed_version": "0", "urgency": "low"}),
        ("open", lambda v: {"status": "open", "urgency": "medium"}),
        ("open, not yet judged", lambda v: {"status": "open", "urgency": "not yet assigned"}),
        ("undetermined", lambda v: {"status": "undetermined", "urgency": "unimportant"}),
        ("fixed in a later epoch", lambda v: {"status": "resolved", "fixed_version": "99:0", "urgency": "unimportant"}),
        ("fixed before a pre-release", lambda v: {"status": "resolved", "fixed_version": v + "~rc1", "urgency": "medium"}),
    )
    tracker, number = {}, 1000
    for source, version in sorted(sources.items()):
        tracker[source] = {}
        for description, make in kinds:
            number += 1
            tracker[source][f"CVE-2026-{number}"] = {
                "description": description, "scope": "local",
                "releases": {"bookworm": {"repositories": {"bookworm": version}, **make(version)}}}
    return tracker


def debian_packages(path):
    # Trivy gives the epoch as a qualifier, purl's deb type as part of the version.
    with open(path, encoding="utf-8") as f:
        return {re.sub(r"@\d+:", "@", urllib.parse.unquote(c["purl"].split("?")[0]))
                for c in json.load(f)["components"] if c.get("purl", "").startswith("pkg:deb")}


def main():
    image, lock, folder = sys.argv[1:]
    cache = os.path.join(folder, "cache")
    ours, theirs = (os.path.join(folder, name) for name in ("ours.json", "theirs.json"))
    quiet = ("--quiet", "--offline-scan", "--skip-db-update", "--skip-java-db-update", "--cache-dir", cache)
    with open(lock, encoding="utf-8") as f:
        packages = json.load(f)["platforms"][0]["packages"]
    source_of = {p["name"]: p["source"] for p in packages}
    sources = {p["source"]: p["sourceVersion"] for p in packages}
    tracker = advisories(sources)
    with open(os.path.join(folder, "tracker.json"), "w", encoding="ascii") as f:
        json.dump(tracker, f)
    trivy_database(tracker, cache)

    run(TENON, "image", "sbom", image, "--format", "cyclonedx", "--output", ours)
    run(TRIVY, "image", *quiet, "--input", image, "--format", "cyclonedx", "--output", theirs)
    ours, theirs = debian_packages(ours), debian_packages(theirs)
    if ours != theirs:
        sys.exit(f"FAIL: the packages differ: {sorted(ours ^ theirs)}")
    print(f"the same {len(ours)} packages")

    report = json.loads(run(TENON, "image", "scan", image, "--tracker", os.path.join(folder, "tracker.json"), "--no_archive",
                            "--format", "json", ok=(0, 1)))
    found = {(f["source"], f["id"], f["fixedVersion"] or "", f["severity"]) for f in report["findings"]}
    answer = json.loads(run(TRIVY, "image", *quiet, "--input", image, "--scanners", "vuln", "--format", "json"))
    trivys = {(source_of[v["PkgName"]], v["VulnerabilityID"], v.get("FixedVersion", ""), v["Severity"].lower())
              for result in answer["Results"] for v in result.get("Vulnerabilities", ())}
    if found != trivys:
        sys.exit(f"FAIL: the findings differ: only ours {sorted(found - trivys)[:9]}, only Trivy's {sorted(trivys - found)[:9]}")
    print(f"the same {len(found)} findings of {sum(map(len, tracker.values()))} advisories")


if __name__ == "__main__":
    main()
