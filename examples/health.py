#!/usr/bin/env python3
# SPDX-License-Identifier: MIT-0
"""An HTTP server that is watched by probes (health.monitor). It says at /ready whether it wants more work, and at /health that it is
well. /busy and /idle change the former, /ill the latter.

health.py @ABSTRACT-SOCKET
"""

import http.server
import socket
import socketserver
import sys

STATE = {'/ready': 200, '/health': 200}
CHANGES = {'/busy': ('/ready', 503), '/idle': ('/ready', 200), '/ill': ('/health', 500)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path in CHANGES:
            asked, status = CHANGES[self.path]
            STATE[asked] = status
        self.send_response(STATE.get(self.path, 204))
        self.end_headers()

    def address_string(self):
        return 'somebody'  # the address of a socket like that says nothing

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True


if __name__ == '__main__':
    if len(sys.argv) != 2 or sys.argv[1][0] != '@':
        raise SystemExit('usage: health.py @ABSTRACT-SOCKET')
    with Server('\0' + sys.argv[1][1:], Handler) as server:
        server.serve_forever()
