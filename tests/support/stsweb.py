#!/usr/bin/env python3
"""stsweb.py ADDRESS PORT DIRECTORY: an HTTPS server of MTA-STS policies.

DIRECTORY/DOMAIN is a directory for the web server mta-sts.DOMAIN:

    policy      the text at /.well-known/mta-sts.txt
    cert.pem    its certificate with chain, cert.key beside it
    fault       what goes wrong, or no such file:

        status CODE             an answer without text, such as `status 404'
        redirect URL            301
        type CONTENT-TYPE       another one than text/plain
        slow SECONDS            that long before the answer
        drip SECONDS            that long between any two octets of the text
        oversize OCTETS         of text, with comments in the policy
        reset                   the connection, after the request
        silent                  nothing after the handshake
        mute                    nothing at all, not even a handshake

A domain without directory, or whose name is not asked for by SNI, ends the
handshake. All files are read when they are needed. On stdout a line for each
request: `get DOMAIN HOST PATH'.
"""

import os
import socketserver
import ssl
import struct
import sys
import threading
import time
import socket

PATIENCE_S = 600
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def read(domain, name):
    try:
        with open(os.path.join(sys.argv[3], domain, name), "rb") as f:
            return f.read()
    except OSError:
        return b""


def fault_of(domain):
    kind, _, value = read(domain, "fault").decode().strip().partition(" ")
    return kind, value


def choose(connection, name, _):
    domain = (name or "").removeprefix("mta-sts.")
    cert = os.path.join(sys.argv[3], domain, "cert.pem")
    if "/" in domain or not domain or not os.path.exists(cert):
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    while fault_of(domain)[0] == "mute":
        time.sleep(0.2)
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(cert, cert.removesuffix(".pem") + ".key")
    connection.context = c
    connection.domain = domain
    return None


class Request(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(PATIENCE_S)
        try:
            self.web = outer.wrap_socket(self.request, server_side=True)
            self.answer(self.web.domain)
            self.web.unwrap()
        except (OSError, AttributeError) as e:
            say("broken", e)
        finally:
            if hasattr(self, "web"):
                self.web.close()

    def head(self, code, length, *lines):
        text = [f"HTTP/1.1 {code} as told", f"Content-Length: {length}",
                "Connection: close", *lines]
        self.web.sendall("\r\n".join(text).encode() + b"\r\n\r\n")

    def answer(self, domain):
        lines = []
        with self.web.makefile("rb") as f:
            for line in iter(lambda: f.readline(8192), b""):
                if line in (b"\r\n", b"\n"):
                    break
                lines.append(line.decode("latin-1").strip())
        host = [l[5:].strip() for l in lines if l.lower().startswith("host:")]
        path = lines[0].split()[1] if lines else ""
        kind, value = fault_of(domain)
        text = read(domain, "policy")
        say("get", domain, *host, path)
        if kind == "slow":
            time.sleep(float(value))
        if kind == "silent":
            time.sleep(PATIENCE_S)
        elif kind == "reset":
            self.web.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
            socket.socket(fileno=self.web.detach()).close()
        elif kind == "status":
            self.head(int(value), 0)
        elif kind == "redirect":
            self.head(301, 0, "Location: " + value)
        elif path != "/.well-known/mta-sts.txt" or not text:
            self.head(404, 0)
        else:
            if kind == "oversize":
                text += b"#" * (int(value) - len(text))
            self.head(200, len(text), "Content-Type: " +
                      (value if kind == "type" else "text/plain"))
            if kind != "drip":
                self.web.sendall(text)
                return
            for octet in text:
                time.sleep(float(value))
                self.web.sendall(bytes([octet]))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 200


outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
outer.sni_callback = choose
with Server((sys.argv[1], int(sys.argv[2])), Request) as server:
    server.serve_forever()
