#!/usr/bin/env python3
# SPDX-License-Identifier: MIT-0
"""A TCP service whose workers share one listening socket (hello.monitor): descriptor 3, as sd_listen_fds(3) says. Each
connection gets one line with the pid of the worker that serves it."""

import os
import signal
import socket
import time

from load import notify

LISTEN_FDS_START = 3


def main():
    if os.environ.get('LISTEN_FDS') != '1':
        raise SystemExit('hello.py: expected one listening socket in $LISTEN_FDS')
    listener = socket.socket(fileno=LISTEN_FDS_START)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # between two connections there is nothing to save
    notify('READY=1')
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b'hello from %d\n' % os.getpid())
            time.sleep(0.05)  # as if it were work: meanwhile the next connection is another worker's


if __name__ == '__main__':
    main()
