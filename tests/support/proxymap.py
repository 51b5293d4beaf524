#!/usr/bin/env python3
"""proxymap.py SOCKET TABLE < keys: what proxymap(8) finds, as for transport_maps.

One line a key that is found, as postmap -q - has it; status 1 if there is none.
postmap(1) cannot ask so: the table tells by a flag of the request who asks.
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


found = False
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    stream = s.makefile("rb")
    read_attributes(stream)  # the protocol's name
    for key in sys.stdin.read().splitlines():
        parts = ("request", "lookup", "table", sys.argv[2],
                 "flags", str(DICT_FLAG_NO_REGSUB), "key", key)
        s.sendall(b"".join(p.encode() + b"\0" for p in parts) + b"\0")
        answer = read_attributes(stream)
        if answer["status"] == "0":
            print(key, answer["value"], sep="\t")
            found = True
sys.exit(0 if found else 1)
