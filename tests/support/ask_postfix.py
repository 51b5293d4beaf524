#!/usr/bin/env python3
"""Ask a daemon of Postfix what other daemons ask it; one question a line.

ask_postfix.py rewrite SOCKET < addresses
    what trivial-rewrite(8) makes of each: address, transport and next hop
ask_postfix.py proxymap SOCKET TABLE < keys
    what proxymap(8) finds for transport_maps, as postmap -q - has it; status 1
    if that is nothing. postmap(1) cannot ask so: the table tells by a flag of
    the request who asks.
"""
import socket
import sys

DICT_FLAG_NO_REGSUB = 1 << 11


def read_attributes(stream):
    """name NUL value NUL ... NUL"""
    found, name = {}, None
    while True:
        text = b""
        while (octet := stream.read(1)) not in (b"\0", b""):
            text += octet
        if name is None and not text:
            return found
        if name is None:
            name = text.decode()
        else:
            found[name], name = text.decode(), None


def ask(path, *attributes):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        stream = s.makefile("rb")
        read_attributes(stream)  # the protocol's name
        s.sendall(b"".join(a.encode() + b"\0" for a in attributes) + b"\0")
        return read_attributes(stream)


service, path = sys.argv[1:3]
found = False
for line in sys.stdin.read().splitlines():
    if service == "rewrite":
        answer = ask(path, "request", "resolve", "sender", "", "address", line)
        print(line, answer["transport"], answer["nexthop"], sep="\t")
        found = True
    else:
        answer = ask(path, "request", "lookup", "table", sys.argv[3],
                     "flags", str(DICT_FLAG_NO_REGSUB), "key", line)
        if answer["status"] == "0":
            print(line, answer["value"], sep="\t")
            found = True
sys.exit(0 if found else 1)
