#!/usr/bin/env python3
"""tlssmtp.py ADDRESS PORT CERTIFICATE [NAME=CERTIFICATE...]: an SMTP server
that takes everything, with STARTTLS, and tells what came how.

A CERTIFICATE is a file FILE.pem with its chain, and FILE.key beside it; the one
of a NAME is for clients that ask for that name (SNI). With `-' in the place of
CERTIFICATE there is no STARTTLS. On stdout, a line each:

    connect
    starttls sni=NAME TLSv1.3     (sni=- without one)
    failed REASON                 the client went away during the handshake
    message RECIPIENT tls=TLSv1.3 sni=NAME session=N   (or tls=- sni=-)
    message RECIPIENT tls=TLSv1.3 sni=NAME requiretls session=N

where N counts the connections, from 1; the last one was asked for with
REQUIRETLS, which is offered inside TLS. It ends with its parent's signal.
"""

import socket
import socketserver
import ssl
import sys
import threading

lock = threading.Lock()
sessions = 0


def say(*words):
    with lock:
        print(*words, flush=True)


def context(certificate):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(certificate, certificate.removesuffix(".pem") + ".key")
    return c


class Session(socketserver.StreamRequestHandler):
    timeout = 60
    sni = tls = "-"
    rcpts = ()
    words = ()

    def reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def starttls(self):
        self.reply("220 go on")
        try:
            self.connection = contexts[""].wrap_socket(
                self.connection, server_side=True)
        except OSError as e:
            say("failed", e)
            return False
        self.sni = getattr(self.connection, "asked_for", None) or "-"
        self.tls = self.connection.version()
        say("starttls", "sni=" + self.sni, self.tls)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        return True

    def data(self, number):
        self.reply("354 go on")
        for line in self.rfile:
            if line == b".\r\n":
                break
        else:
            return
        for rcpt in self.rcpts:
            say("message", rcpt, "tls=" + self.tls, "sni=" + self.sni,
                *self.words, f"session={number}")
        self.rcpts = ()
        self.reply("250 taken")

    def handle(self):
        global sessions
        with lock:
            sessions += 1
            number = sessions
        say("connect")
        self.reply("220 receiver.test ESMTP")
        for line in iter(lambda: self.rfile.readline(4096), b""):
            command = line.decode("latin-1").strip()
            verb = command.upper()
            if verb.startswith("EHLO"):
                self.reply("250-receiver.test")
                if contexts and self.tls == "-":
                    self.reply("250-STARTTLS")
                self.reply("250 HELP" if self.tls == "-" else "250 REQUIRETLS")
            elif verb == "STARTTLS" and contexts and self.tls == "-":
                if not self.starttls():
                    return
            elif verb.startswith("MAIL FROM:"):
                self.words = ("requiretls",) if "REQUIRETLS" in verb.split() else ()
                self.reply("250 ok")
            elif verb.startswith("RCPT TO:"):
                self.rcpts += (command[8:].split(">")[0].strip(" <"),)
                self.reply("250 ok")
            elif verb == "DATA":
                self.data(number)
            elif verb == "QUIT":
                self.reply("221 bye")
                return
            else:
                if verb == "RSET":
                    self.rcpts = ()
                self.reply("250 ok")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 200
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET

    def handle_error(self, request, client_address):
        say("broken", sys.exc_info()[1])


def choose(connection, name, _):
    connection.asked_for = name
    connection.context = contexts.get(name, contexts[""])


contexts = {}
if sys.argv[3] != "-":
    contexts[""] = context(sys.argv[3])
    contexts[""].sni_callback = choose
for word in sys.argv[4:]:
    host, _, file = word.partition("=")
    contexts[host] = context(file)
with Server((sys.argv[1], int(sys.argv[2])), Session) as server:
    server.serve_forever()
