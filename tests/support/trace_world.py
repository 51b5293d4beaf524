#!/usr/bin/env python3
"""trace_world.py SEED DIRECTORY: what tests/integration/trace.t asks about.

Zones (zones/NAME), overrides (overrides.ldif) and keys (keys), all drawn from
SEED: domains d0.test to d79.test with hosts in a few providers, some shared.
"""
import random
import sys

seed, directory = int(sys.argv[1]), sys.argv[2]
draw = random.Random(seed)
DOMAINS = [f"d{i}.test" for i in range(80)]
HOSTS = [f"h{i}.p{i % 4}.test" for i in range(16)]
MODES = "replace prepend append exclude merge pass reject defer".split()


def zone(name, lines):
    with open(f"{directory}/zones/{name}", "w") as f:
        head = f"$ORIGIN {name}.\n$TTL 3600\n"
        soa = "@ SOA ns hostmaster 1 3600 600 86400 3600\n@ NS ns\n"
        f.write(head + soa + "ns A 127.0.0.53\n" + "\n".join(lines) + "\n")


def addresses(label, i):
    if i == 15:  # this machine
        yield f"{label} A 192.0.2.250"
        return
    kind = draw.choice("4444466bbbn")  # both families, one, or none
    if kind in "4b":
        yield f"{label} A 192.0.2.{i + 1}"
    if kind in "6b":
        yield f"{label} AAAA 2001:db8::{i + 1:x}"
    if kind == "n":
        yield f'{label} TXT "no address"'


for p in range(4):
    zone(f"p{p}.test", [line for i in range(p, 16, 4)
                        for line in addresses(f"h{i}", i)])
for domain in DOMAINS:
    lines = []
    kind = draw.random()
    if kind < 0.05:
        lines.append("@ MX 0 .")
    elif kind < 0.1:
        lines.append("@ A 192.0.2.30")
    else:
        for host in draw.sample(HOSTS, draw.randint(1, 3)):
            lines.append(f"@ MX {draw.choice((10, 10, 20))} {host}.")
    lines.append(f"sub MX 10 {draw.choice(HOSTS)}.")
    zone(domain, lines)


def hop():
    host = draw.choice(HOSTS + ["192.0.2.99", "gw.p0.test", DOMAINS[0]])
    if host in DOMAINS:
        return host
    return f"{draw.choice((0, 10, 20))} [{host}]{draw.choice(('', '', ':2525'))}"


def entry(n):
    key = draw.random()
    domain = draw.choice(DOMAINS)
    yield f"dn: cn=e{n},dc=example"
    yield "objectClass: mxhopOverride"
    yield f"cn: e{n}"
    if key < 0.5:
        yield f"mxhopKey: {domain}"
    elif key < 0.6:
        yield f"mxhopKey: .{domain}"
    elif key < 0.85:
        local = draw.choice(("user", "user+ext", "list-request"))
        yield f"mxhopKey: {local}@{domain}"
    else:
        yield f"mxhopExchange: {draw.choice(HOSTS + ['.p1.test'])}"
    mode = draw.choice(MODES)
    yield f"mxhopMode: {mode}"
    if mode in ("replace", "prepend", "append", "merge"):
        for _ in range(draw.randint(1, 2)):
            yield f"mxhopHop: {hop()}"
        if draw.random() < 0.2:
            yield "mxhopTransport: relay"
    if mode == "exclude":
        yield f"mxhopExclude: {draw.choice(HOSTS + ['.p1.test', '.p2.test'])}"
    if mode in ("reject", "defer"):
        yield "mxhopReason: not today"
    if draw.random() < 0.1:
        yield "mxhopEnabled: FALSE"
    if draw.random() < 0.1:
        yield "mxhopNotBefore: 20400101000000Z"
    yield ""


with open(f"{directory}/overrides.ldif", "w") as f:
    for n in range(120):
        f.write("\n".join(entry(n)) + "\n")


def key():
    domain = draw.choice(DOMAINS)
    kind = draw.random()
    if kind < 0.5:
        return domain
    if kind < 0.6:
        return draw.choice(("sub.", "none.")) + domain
    if kind < 0.65:
        return draw.choice(("*", "." + domain, "[192.0.2.1]", "localhost",
                            "mta.mxhop.test", "user@[192.0.2.1]", "a b"))
    local = draw.choice(("user", "user+ext", "user-ext", "list-request",
                         "owner-list", "postmaster", "+x"))
    return f"{local}@{domain}"


keys = set()
while len(keys) < 500:
    keys.add(key())
with open(f"{directory}/keys", "w") as f:
    f.write("".join(k + "\n" for k in sorted(keys)))
