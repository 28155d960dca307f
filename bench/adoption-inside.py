# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bench/adoption runs inside of the box, with peer.py beside it. Prints JSON.

adoption-inside.py floor UNIT SOCKET            kills the service; ms until its socket takes connections
adoption-inside.py arbiter ACTORS               kills the arbiter; ms until it answers on D-Bus that all are running
adoption-inside.py flow SECONDS ACTORS          the same while two actors talk; and how fast they were before, and meanwhile
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer import MANAGER, NAME, PATH, RETURN, Closed, Peer

PRIVATE, BUS = '/run/arbiter/private', '/run/dbus/system_bus_socket'
PATIENCE = 60


def kill(unit):
    pid = subprocess.run(['systemctl', 'show', '-P', 'MainPID', unit], stdout=subprocess.PIPE, text=True, check=True).stdout
    fd = os.pidfd_open(int(pid))
    since = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)
    select.select([fd], [], [])  # until then it might take a connection
    os.close(fd)
    return since


def until(question, since):
    while time.monotonic() < since + PATIENCE:
        try:
            if question():
                return (time.monotonic() - since) * 1e3
        except (OSError, Closed):
            pass
        time.sleep(0.0005)
    raise SystemExit('not within %d s' % PATIENCE)


def connects(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
    return True


def running(path, bus):
    peer = Peer(path, hello=bus)
    try:
        reply = peer.call(NAME if bus else None, PATH, MANAGER, 'ListActors')
        if reply.type != RETURN:
            return {}
        return {a[1]: (a[0], a[5]) for a in reply.body[0] if a[4] == 'running'}
    finally:
        peer.close()


def arbiter(n):
    before = running(PRIVATE, False)
    if len(before) != n:
        raise SystemExit('%d actors run, not %d' % (len(before), n))
    killed = kill('arbiter.service')
    private = until(lambda: len(running(PRIVATE, False)) == n, killed)
    bus = until(lambda: len(running(BUS, True)) == n, killed)
    if running(PRIVATE, False) != before:
        raise SystemExit('they are not the same ones')
    return killed, private, bus


def send(target, command, signature='', values=()):
    peer = Peer(PRIVATE, hello=False)
    try:
        arguments = list(zip(signature, values))
        reply = peer.call(None, PATH, MANAGER, 'Send', 'ssava{sv}', [target, command, arguments, {}])
        if reply.type != RETURN:
            raise SystemExit(reply.text())
        return reply.body[0][1]
    finally:
        peer.close()


def flow(seconds, n):
    begin = time.monotonic()
    time.sleep(seconds)
    killed, private, _ = arbiter(n)
    back = killed + private / 1e3
    usec = [int(t * 1e6) for t in (begin, killed, back)]
    before, _ = send('volley', 'rate', 'tt', usec[:2])
    meanwhile, failed = send('volley', 'rate', 'tt', usec[1:])
    return {'before': before, 'meanwhile': meanwhile, 'failed': failed, 'away': private}


def main(what, *arguments):
    if what == 'floor':
        killed = kill(arguments[0])
        result = {'ms': until(lambda: connects(arguments[1]), killed)}
    elif what == 'arbiter':
        _, private, bus = arbiter(int(arguments[0]))
        result = {'private': private, 'bus': bus}
    elif what == 'begin':
        result = send('volley', 'begin')
    else:
        result = flow(float(arguments[0]), int(arguments[1]))
    print(json.dumps(result))


main(*sys.argv[1:])
