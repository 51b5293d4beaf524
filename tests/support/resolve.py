#!/usr/bin/env python3
"""resolve.py SOCKET < addresses: what trivial-rewrite(8) makes of each.

One line an address: address, transport and next hop, separated by tabs.
"""
import socket
import sys


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


for address in sys.stdin.read().split("\n"):
    if not address:
        continue
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        stream = s.makefile("rb")
        read_attributes(stream)  # the protocol's name
        parts = ("request", "resolve", "sender", "", "address", address)
        s.sendall(b"".join(p.encode() + b"\0" for p in parts) + b"\0")
        answer = read_attributes(stream)
        print(address, answer["transport"], answer["nexthop"], sep="\t")
