#!/usr/bin/env python3
# SPDX-License-Identifier: MIT-0
"""A plain program under arbiter (load.monitor). All that it knows is systemd's notification protocol, here by hand: datagrams
to $NOTIFY_SOCKET. READY=1 ends the start, STATUS= is shown by "arbiterctl status", and whoever asked for a watchdog
($WATCHDOG_USEC) wants WATCHDOG=1 in time."""

import os
import signal
import socket


def notify(*lines):
    address = os.environ.get('NOTIFY_SOCKET')
    if not address:
        return  # started by hand
    if address.startswith('@'):
        address = '\0' + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto('\n'.join(lines).encode(), address)


def status():
    return 'STATUS=load %.2f' % os.getloadavg()[0]


def main():
    # Half the time that we are given between two signs of life.
    period = int(os.environ.get('WATCHDOG_USEC', 2000000)) / 2000000
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    notify('READY=1', status())
    while not signal.sigtimedwait(ends, period):
        notify('WATCHDOG=1', status())
    notify('STOPPING=1')


if __name__ == '__main__':
    main()
