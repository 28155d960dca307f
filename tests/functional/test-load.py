#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pools whose size follows what they have to do, by arbiterd, with real workers, connections and messages; no systemd and no bus.

test-load.py, with the arguments of test-arbiterd.py
"""

import importlib.util
import os
import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('arbiterd', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-arbiterd.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)
PATIENCE = base.PATIENCE

# Serves one connection at a time, until its client closes it; at SIGTERM it ends when it serves nobody.
SERVER = """
import os, select, signal, socket
s = socket.socket(fileno=3)
s.setblocking(False)
wake, end = os.pipe()
os.set_blocking(end, False)
signal.set_wakeup_fd(end)
signal.signal(signal.SIGTERM, lambda *_: None)
while True:
    if wake in select.select([wake, s], [], [])[0]:
        break
    try:
        c, _ = s.accept()
    except BlockingIOError:
        continue
    c.setblocking(True)
    c.sendall(b"%d\\n" % os.getpid())
    c.recv(1)
    c.close()
"""
# Has more and more memory.
EATER = """
import time
kept = []
while True:
    kept.append(bytearray(b'x' * (1 << 20)))
    time.sleep(0.02)
"""
SCALES = 'WorkersMin=1\nWorkersMax=4\nScaleUpSec=200ms\nScaleDownSec=400ms\n'


class Load(base.Case):
    def show(self, name):
        return dict(line.split('=', 1) for line in self.ctl('show', name).splitlines() if '=' in line)

    def connect(self, family, address):
        s = socket.socket(family)
        self.addCleanup(s.close)
        s.settimeout(PATIENCE)
        s.connect(address)
        return s

    def await_actors(self, n):
        deadline = time.monotonic() + PATIENCE
        while len(self.actors()) > n:
            self.assertLess(time.monotonic(), deadline)

    def check_backlog(self, listen, family, address):
        self.monitor('serve', 'Exec=%s\nListenStream=%s\n' % (self.script('serve.py', SERVER), listen), SCALES)
        self.start()
        self.assertEqual(list(self.actors()), ['serve.1'])
        clients = [self.connect(family, address) for _ in range(8)]
        # Each worker has one; the others wait in the queue of the socket.
        self.log.expect(r'serve: \d -> 4 workers, for a load of \d+%')
        served = [int(c.makefile().readline()) for c in clients[:1]]
        self.assertEqual(len(served), 1)
        shown = self.show('serve')
        self.assertEqual((shown['Workers'], shown['WorkersMin'], shown['WorkersMax']), ('4', '1', '4'))
        self.assertGreaterEqual(int(shown['Backlog']), 1)
        self.assertRegex(self.show('serve')['Load'], r'^[1-9]\d*$')  # what workers start with comes and goes
        self.assertRegex(self.ctl('status'), r'load [1-9]\d*% \(1 to 4 workers\)')
        metrics = self.ctl('metrics')
        self.assertRegex(metrics, r'arbiter_monitor_backlog_connections\{monitor="serve"\} [1-9]')
        self.assertRegex(metrics, r'arbiter_monitor_load_ratio\{monitor="serve"\} [1-9]')
        # All of them are served in the end; then one worker is enough.
        for c in clients:
            c.shutdown(socket.SHUT_WR)
        for c in clients[1:]:
            self.assertRegex(c.makefile().readline(), r'^\d+$')
        self.log.expect(r'serve: 2 -> 1 workers, for a load of \d+%')
        self.await_actors(1)
        self.assertEqual(self.show('serve')['Workers'], '1')
        self.assertEqual(int(self.connect(family, address).makefile().readline()), next(iter(self.actors().values()))['pid'])
        self.stop()

    def test_backlog_tcp(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        self.check_backlog('127.0.0.1:%d' % port, socket.AF_INET, ('127.0.0.1', port))

    def test_backlog_unix(self):
        path = os.path.join(self.top, 'socket')
        self.check_backlog(path, socket.AF_UNIX, path)

    def test_memory(self):
        self.monitor('eater', 'Exec=%s\n' % self.script('eater.py', EATER), 'MaxMemory=64M\nRecycleSpread=0\n')
        self.start()
        first, = self.running('eater.1')
        match = self.log.expect(r'eater\.1 is to be replaced: it has so many bytes of memory, (\d+) of 67108864')
        self.assertGreaterEqual(int(match.group(1)), 64 << 20)
        second, = self.running('eater.1')
        self.assertNotEqual(first, second)
        self.assertIn('shutdown', self.ctl('deaths', 'eater'))
        self.stop()

    def test_runtime(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=3\nRuntimeMaxSec=2s\nRecycleSpread=50%\n')
        self.start()
        before = [a['pid'] for a in self.actors().values()]
        self.assertEqual(len(before), 3)
        after = self.running('nap.1', 'nap.2', 'nap.3')
        self.assertFalse(set(before) & set(after))
        self.stop()

    def test_another_runtime(self):
        """It counts for those who run, from their start."""
        nap = 'Exec=/bin/sleep 1000\n'
        self.monitor('nap', nap, 'RuntimeMaxSec=1d\n')
        self.start()
        first = self.actors()['nap.1']['pid']
        self.monitor('nap', nap, 'RuntimeMaxSec=1s\nRecycleSpread=0\n')
        self.assertRegex(self.ctl('daemon-reload', '--dry-run'), r'nap .*none is touched')
        self.reload()
        second, = self.running('nap.1')
        self.assertNotEqual(first, second)
        self.stop()

    def test_requests(self):
        self.monitor('squares', 'Module=%s\n' % base.SQUARES, 'MaxRequests=20\nRecycleSpread=0\n')
        self.start()
        first, = self.running('squares.1')
        for i in range(20):
            self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', str(i)), 'x %d\n' % (i * i))
        self.log.expect(r'squares\.1 is to be replaced: it has done so many requests, 20 of 20')
        second, = self.running('squares.1')
        self.assertNotEqual(first, second)
        self.stop()

    def test_reload(self):
        """Policy: whoever runs goes on."""
        nap = 'Exec=/bin/sleep 1000\n'
        self.monitor('nap', nap, 'Workers=3\n')
        self.start()
        pids = sorted(a['pid'] for a in self.actors().values())
        self.monitor('nap', nap, 'Workers=3\nRuntimeMaxSec=1d\nMaxMemory=1G\nWorkersMin=1\nWorkersMax=8\nScaleDownSec=1h\n')
        self.assertRegex(self.ctl('daemon-reload', '--dry-run'), r'nap .*none is touched')
        self.reload()
        self.assertEqual(sorted(a['pid'] for a in self.actors().values()), pids)
        self.assertEqual(self.show('nap')['WorkersMax'], '8')
        # Narrower than it is: inside at once, and two go on.
        self.monitor('nap', nap, 'Workers=2\nWorkersMin=1\nWorkersMax=2\nScaleDownSec=1h\n')
        self.reload()
        self.await_actors(2)
        self.assertLess(set(a['pid'] for a in self.actors().values()), set(pids))
        # An operator may have any number; it is the load's to change it.
        self.ctl('scale', 'nap', '4')
        self.assertEqual(len(self.actors()), 4)
        self.stop()


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[6:]], verbosity=2)
