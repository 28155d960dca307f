# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speaks to an arbiter-keeper as an arbiter does. Runs inside the box (test-keeper.py), with the python3 of Debian and
nothing else.

keeper_peer.py SOCKET put NAME...    has a pipe kept under each name, says "kept", and "NAME closed" when nobody has one any more
keeper_peer.py SOCKET pidfd NAME PID  has the pidfd of a process kept
keeper_peer.py SOCKET list           says what there is
keeper_peer.py SOCKET many N         has N descriptors kept, and gets them all again: says how long each took
"""

import os
import select
import socket
import struct
import sys
import time

HELLO, PUT, FORGET, LIST, PRUNE, KEPT = range(1, 7)
VERSION, NAME_SIZE, BATCH = 1, 64, 128
HEAD = '=IIQ'


class Keeper:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.say(HELLO, n=VERSION, cookie=42)
        assert struct.unpack_from(HEAD, self.socket.recv(4096)) == (HELLO, VERSION, 42)

    def say(self, op, names=(), fds=(), n=0, cookie=0):
        data = struct.pack(HEAD, op, n or len(names), cookie) + b''.join(name.encode().ljust(NAME_SIZE, b'\0') for name in names)
        socket.send_fds(self.socket, [data], list(fds))

    def listing(self):
        self.say(LIST, cookie=43)
        while True:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, BATCH)
            op, n, cookie = struct.unpack_from(HEAD, data)
            assert op == KEPT and cookie == 43 and len(fds) == n
            if n == 0:
                return
            for i in range(n):
                at = struct.calcsize(HEAD) + i * NAME_SIZE
                yield data[at:at + NAME_SIZE].rstrip(b'\0').decode(), fds[i]


def put(keeper, names):
    ends = {}
    for name in names:
        reading, writing = os.pipe()
        ends[reading] = name
        keeper.say(PUT, [name], [writing])
        os.close(writing)
    print('kept', flush=True)
    keeper.socket.close()
    while ends:
        for fd in select.select(list(ends), [], [])[0]:
            assert os.read(fd, 1) == b''
            print(ends.pop(fd), 'closed', flush=True)


def many(keeper, n):
    names, fd = ['c.%06d' % i for i in range(n)], os.open('/dev/null', os.O_RDONLY)
    start = time.monotonic()
    for i in range(0, n, BATCH):
        batch = names[i:i + BATCH]
        keeper.say(PUT, batch, [fd] * len(batch))
    count, listed = 0, time.monotonic()
    for _, got in keeper.listing():
        os.close(got)
        count += 1
    end = time.monotonic()
    for i in range(0, n, BATCH):
        keeper.say(FORGET, names[i:i + BATCH])
    print('%d: put in %.1f ms, got in %.1f ms' % (count, 1e3 * (listed - start), 1e3 * (end - listed)), flush=True)


def main():
    keeper = Keeper(sys.argv[1])
    if sys.argv[2] == 'put':
        put(keeper, sys.argv[3:])
    elif sys.argv[2] == 'pidfd':
        keeper.say(PUT, [sys.argv[3]], [os.pidfd_open(int(sys.argv[4]))])
    elif sys.argv[2] == 'many':
        many(keeper, int(sys.argv[3]))
    else:
        for name, _ in keeper.listing():
            print(name)


main()
