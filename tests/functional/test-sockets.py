#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Listening sockets of arbiterd's actors, with real workers and connections; no systemd and no bus.

test-sockets.py, with the arguments of test-arbiterd.py
"""

import importlib.util
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('arbiterd', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-arbiterd.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)
PATIENCE = base.PATIENCE

# Answers each connection with its pid, on all of its sockets; ends at SIGTERM when it has served all that waits.
SERVER = """
import os, select, signal, socket
SO_COOKIE = 57
assert os.environ["LISTEN_PID"] == str(os.getpid())
names = os.environ["LISTEN_FDNAMES"].split(":")
sockets = [socket.socket(fileno=3 + i) for i in range(int(os.environ["LISTEN_FDS"]))]
assert len(names) == len(sockets)
for s in sockets:
    s.setblocking(False)
wake, end = os.pipe()
os.set_blocking(end, False)
signal.set_wakeup_fd(end)
signal.signal(signal.SIGTERM, lambda *_: None)
print(os.environ["WHO"], *names, *[s.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8).hex() for s in sockets], flush=True)
while True:
    ready = select.select([wake, *sockets], [], [])[0]
    if ready == [wake]:
        break
    for s in sockets:
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        c.setblocking(True)
        c.sendall(b"%d\\n" % os.getpid())
        c.close()
"""


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def ask(address, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(PATIENCE)
        s.connect(address)
        return int(s.makefile().readline())


class Load(threading.Thread):
    """Connects all the time; remembers who has answered, and each failure."""

    def __init__(self, address):
        super().__init__()
        self.address, self.pids, self.failures, self.over = address, [], [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                self.pids.append(ask(self.address))
            except (OSError, ValueError) as e:
                self.failures.append(repr(e))

    def stop(self):
        self.over.set()
        self.join()


class Shared(base.Case):
    SERVER = ('import os, socket\n'
              's = socket.socket(fileno=3)\n'
              'assert os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"\n'
              'while True:\n'
              '    c, _ = s.accept()\n'
              '    c.sendall(b"%d\\n" % os.getpid())\n'
              '    c.recv(1)\n')

    def serve(self, address, extra=''):
        self.monitor('serve', 'Exec=%s\nListenStream=%s\n%s' % (self.script('serve.py', self.SERVER), address, extra), 'Workers=2\n')

    def ask(self, address):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.settimeout(PATIENCE)
        s.connect(address)
        return s, int(s.makefile().readline())

    def test_shared(self):
        path = os.path.join(self.top, 'socket')
        self.serve(path)
        self.start()
        pids = {a['pid'] for a in self.actors().values()}
        first, a = self.ask(path)
        second, b = self.ask(path)  # who serves the first one is busy
        self.assertEqual({a, b}, pids)
        first.close()
        # New workers on the old socket: whoever connects meanwhile waits.
        self.serve(path, 'Nice=1\n')
        self.reload()
        new = set(self.running('serve.1', 'serve.2'))
        self.assertFalse(new & pids)
        second.close()
        self.assertIn(self.ask(path)[1], new)
        # Gone with its pool.
        os.unlink(os.path.join(self.etc, 'serve.monitor'))
        self.reload()
        self.assertFalse(os.path.exists(path))
        self.stop()

    def test_taken(self):
        address = '@' + self.mark
        self.serve(address)
        self.actor('thief', 'Exec=/bin/sleep 1000\nListenStream=%s\n' % address)
        self.start()
        self.assertIn('cannot listen on %s: thief does' % address, '\n'.join(self.log.seen))
        self.assertEqual(list(self.actors()), ['thief'])
        os.unlink(os.path.join(self.etc, 'thief.actor'))
        self.serve(address, 'Nice=1\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.running('serve.1', 'serve.2')
        self.assertIn(self.ask('\0' + self.mark)[1], {a['pid'] for a in self.actors().values()})
        self.stop()


class Kinds(base.Case):
    def test_fifo(self):
        path = os.path.join(self.top, 'deep', 'fifo')
        reader = self.script('reader.py', 'import os\n'
                             'assert os.environ["LISTEN_FDS"] == "1"\n'
                             'while True:\n    print(os.getpid(), os.read(3, 100).decode().strip(), flush=True)\n')
        self.monitor('reader', 'Exec=%s\nListenFIFO=%s\nSocketMode=0620\nDirectoryMode=0711\nPipeSize=8K\n' % (reader, path))
        self.start()
        st = os.stat(path)
        self.assertTrue(stat.S_ISFIFO(st.st_mode))
        self.assertEqual((st.st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777), (0o620, 0o711))
        with open(path, 'w', encoding='ascii') as f:
            f.write('one\n')
        first, text = self.out.line().split()
        self.assertEqual(text, 'one')
        # Nobody reads for a while: what is written waits.
        self.ctl('stop', 'reader.1')
        with open(path, 'w', encoding='ascii') as f:
            f.write('two\n')
        self.ctl('restart', 'reader')
        second, text = self.out.line().split()
        self.assertEqual(text, 'two')
        self.assertNotEqual(first, second)
        self.stop()
        self.assertFalse(os.path.exists(path))

    def test_datagrams(self):
        """What comes between two lives waits; with ReusePort= each worker has its own."""
        path, port = os.path.join(self.top, 'socket'), free_port()
        reader = self.script('reader.py', 'import os, select, socket\n'
                             'sockets = [socket.socket(fileno=3 + i) for i in range(int(os.environ["LISTEN_FDS"]))]\n'
                             'print("here", *[s.getsockopt(socket.SOL_SOCKET, 57, 8).hex() for s in sockets], flush=True)\n'
                             'while True:\n    for s in select.select(sockets, [], [])[0]:\n'
                             '        print(s.recv(100).decode(), flush=True)\n')
        text = 'Exec=%s\nListenDatagram=%s\nListenDatagram=127.0.0.1:%d\n' % (reader, path, port)
        self.monitor('reader', text)
        self.start()
        before = self.out.line()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
            for word in 'one', 'two':
                a.sendto(word.encode(), path)
                self.assertEqual(self.out.line(), word)
                b.sendto(word.encode(), ('127.0.0.1', port))
                self.assertEqual(self.out.line(), word)
                self.ctl('stop', 'reader.1')
                a.sendto(b'unix', path)
                b.sendto(b'udp', ('127.0.0.1', port))
                self.ctl('restart', 'reader.1')
                self.assertEqual(self.out.line(), before)
                self.assertEqual({self.out.line(), self.out.line()}, {'unix', 'udp'})
        self.monitor('reader', text + 'ReusePort=yes\n', 'Workers=2\n')
        self.ctl('reload')
        _, path_of_one, port_of_one = self.out.line().split()
        _, path_of_two, port_of_two = self.out.line().split()
        self.assertEqual(path_of_one, path_of_two)
        self.assertNotEqual(port_of_one, port_of_two)
        self.stop()

    def test_packets_names_and_mode(self):
        """Names in the order of the sockets; others may connect, whatever the umask of the arbiter is."""
        path = os.path.join(self.top, 'socket')
        self.monitor('serve', 'Exec=%s\nListenSequentialPacket=%s\nListenStream=@%s\nFileDescriptorName=packets:stream\n'
                     'Environment=WHO=%%n\n' % (self.script('serve.py', SERVER), path, self.mark))
        old = os.umask(0o077)
        try:
            self.start()
        finally:
            os.umask(old)
        self.assertEqual(self.out.line().split()[:3], ['serve.1', 'packets', 'stream'])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(path)
            self.assertEqual(int(s.recv(100)), self.actors()['serve.1']['pid'])
        # What can be changed while it is open is.
        self.monitor('serve', 'Exec=%s\nListenSequentialPacket=%s\nSocketMode=0600\nEnvironment=WHO=%%n\n' % (
            self.script('serve.py', SERVER), path))
        self.reload()
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.out.line().split()[:2], ['serve.1', 'serve'])
        self.stop()

    def test_in_use(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            self.actor('web', 'Exec=/bin/sleep 1000\nListenStream=127.0.0.1:%d\n' % s.getsockname()[1])
            self.start()
            self.assertRegex('\n'.join(self.log.seen), r'web\.actor: cannot listen on 127\S+: Address already in use\. "ss -lp" shows')
        self.ctl('reload')
        self.ctl('wait', 'web', 'running')
        self.stop()

    def test_in_use_when_changed(self):
        """Workers go on where they were until a reload can have it; a lone actor is started by one."""
        before = [free_port() for _ in range(2)]
        with socket.socket() as a, socket.socket() as b:
            after = []
            for s in a, b:
                s.bind(('127.0.0.1', 0))
                s.listen()
                after.append(s.getsockname()[1])
            server = 'Exec=%s\nListenStream=127.0.0.1:%%d\nEnvironment=WHO=%%%%n\n' % self.script('serve.py', SERVER)

            def configure(pool, lone):
                self.monitor('pool', server % pool, 'Workers=2\nMinReadySec=0\n')
                self.actor('lone', server % lone)

            configure(*before)
            self.start()
            pids = {n: x['pid'] for n, x in self.actors().items()}
            configure(*after)
            self.assertRegex(self.ctl('daemon-reload', status=1), r'pool\.monitor: cannot listen on')
            self.log.expect(r'lone\.actor: cannot listen on')
            self.assertEqual({n: x['pid'] for n, x in self.actors().items() if n != 'lone'}, {n: p for n, p in pids.items() if n != 'lone'})
            # By what it has, also when it has to be started again.
            self.ctl('kill', '--signal=KILL', 'pool.1')
            self.running('pool.1')
            self.assertIn(ask(('127.0.0.1', before[0])), {x['pid'] for x in self.actors().values()})
            status = self.ctl('status')
            for name in 'pool.monitor', 'lone.actor':
                self.assertIn('Not loaded: ' + name, status)
            self.assertRegex(self.ctl('daemon-reload', '--dry-run'), r'pool +replace .*could not be replaced before')
            self.assertRegex(self.ctl('reload', 'pool', status=1), r'pool\.monitor: cannot listen on')
        self.ctl('daemon-reload')
        self.log.expect(r'all workers are replaced')
        self.ctl('wait', 'lone', 'running')
        pids = {x['pid'] for x in self.actors().values()}
        self.assertLessEqual({ask(('127.0.0.1', port)) for port in after}, pids)
        self.assertNotIn('Not loaded', self.ctl('status'))
        self.assertIn('would change nothing', self.ctl('daemon-reload', '--dry-run'))
        self.stop()

    def test_refused(self):
        """It is said what is in the way, and what helps."""
        port, file, path = free_port(), self.write('file', ''), os.path.join(self.top, 'socket')
        others = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        for s, address in zip(others, ('\0' + self.mark, path)):
            self.addCleanup(s.close)
            s.bind(address)
            s.listen()
        cases = {
            'abstract': ('ListenStream=@' + self.mark, r'Address already in use\. "ss -lp"'),
            'unix': ('ListenStream=' + path, r'Address already in use\. "ss -lp"'),
            'file': ('ListenStream=' + file, r'Address already in use\. What is there is no socket; remove it'),
            'directory': ('ListenStream=' + self.etc, r'Address already in use\. What is there is no socket; remove it'),
            'fifo': ('ListenFIFO=' + file, r'Address already in use\. What is there is no FIFO; remove it'),
            'below': ('ListenStream=%s/x' % file, r'Not a directory\. Its directory is not there'),
            'address': ('ListenStream=192.0.2.1:%d' % port, r'Cannot assign .*\. No interface of this machine has .* FreeBind=yes'),
            'device': ('ListenStream=127.0.0.1:%d\nBindToDevice=nosuch' % port, r'No such device\. .*BindToDevice='),
            'zlast': ('ListenStream=127.0.0.1:%d' % port, 'it is in use by all, which listens on %d; use another port' % port),
        }
        if socket.has_dualstack_ipv6():
            cases['scope'] = ('ListenStream=[fe80::1]:%d' % port, r'Invalid argument\. A link-local address .*\[fe80::1%%eth0\]')
        if not base.ROOT:
            cases['low'] = ('ListenStream=127.0.0.1:80', r'Permission denied\. Ports below 1024')
            cases['owner'] = ('ListenStream=%s/owner\nSocketUser=root' % self.top, r'Operation not permitted\. Only root')
        self.monitor('all', 'Exec=/bin/sleep 1000\nListenStream=%d\n' % port)
        for name, (listen, _) in cases.items():
            self.monitor(name, 'Exec=/bin/sleep 1000\n%s\n' % listen)
        self.start()
        for name, (_, text) in cases.items():
            self.assertRegex('\n'.join(self.log.seen), r'/%s\.monitor: cannot listen on \S+: %s' % (name, text))
        self.assertEqual(list(self.monitors()), ['all'])
        self.stop()

    def test_all_or_none(self):
        """Of what cannot be started no socket is left open: who connects would wait for ever."""
        port, path, file = free_port(), os.path.join(self.top, 'socket'), self.write('file', '')
        for extra in '', 'ReusePort=yes\n':
            self.monitor('serve', 'Exec=/bin/sleep 1000\nListenStream=127.0.0.1:%d\nListenStream=%s\nListenStream=%s\n%s' % (
                port, path, file, extra))
            if self.daemon:
                self.ctl('reload', status=1)
            else:
                self.start()
            with socket.socket() as s, self.assertRaises(ConnectionRefusedError):
                s.connect(('127.0.0.1', port))
            self.assertFalse(os.path.exists(path))
        os.unlink(file)
        self.ctl('reload')
        self.ctl('wait', 'serve', 'running')
        socket.create_connection(('127.0.0.1', port), timeout=PATIENCE).close()
        self.stop()


class Replaced(base.Case):
    """Not one connection is refused, reset or left alone while workers are replaced."""

    def check(self, extra, replacements):
        port = free_port()

        def configure(nice):
            self.monitor('serve', 'Exec=%s\nListenStream=127.0.0.1:%d\nNice=%d\nEnvironment=WHO=%%n\n%s' % (
                self.script('serve.py', SERVER), port, nice, extra), 'Workers=3\nMinReadySec=0\n')

        configure(1)
        self.start()
        cookies = {}
        for _ in range(3):
            who, _, cookie = self.out.line().split()
            cookies[who] = cookie
        load = Load(('127.0.0.1', port))
        try:
            for i in range(replacements):
                if i % 2:
                    self.ctl('restart', 'serve')
                else:
                    configure(2 + i)
                    self.reload()
                for _ in range(3):
                    who, _, cookie = self.out.line().split()
                    self.assertEqual(cookies[who], cookie, who)
        finally:
            load.stop()
        self.ctl('kill', '--signal=KILL', 'serve.2')
        who, _, cookie = self.out.line().split()
        self.assertEqual((who, cookies[who]), ('serve.2', cookie))
        self.assertEqual(load.failures, [])
        self.assertGreater(len(set(load.pids)), 3)
        return port, cookies

    def test_shared(self):
        _, cookies = self.check('', 4)
        self.assertEqual(len(set(cookies.values())), 1)
        self.stop()

    def test_one_each(self):
        port, cookies = self.check('ReusePort=yes\n', 4)
        self.assertEqual(len(set(cookies.values())), 3)
        # The place of a worker goes with its socket; a new place has a new one.
        self.ctl('scale', 'serve', '1')
        left = list(self.actors())
        self.assertEqual(len(left), 1)
        pid = self.actors()[left[0]]['pid']
        self.assertEqual({ask(('127.0.0.1', port)) for _ in range(30)}, {pid})
        self.ctl('scale', 'serve', '3')
        for _ in range(2):
            who, _, cookie = self.out.line().split()
            self.assertNotIn(cookie, cookies.values())
        self.stop()

    def test_one_each_by_surge(self):
        """A surplus worker has the socket of the one that leaves for it: what waits there is served, whatever the kernel does."""
        port, roll = free_port(), 'MaxUnavailable=0\nMinReadySec=0\n'
        listen = 'ListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\nReusePort=yes\n' % port
        server = self.script('serve.py', SERVER)
        for surge in 'MaxSurge=1\n', 'MaxSurge=2\n':
            with self.subTest(surge):
                # These accept nobody.
                self.monitor('serve', 'Exec=/bin/sleep 1000\n' + listen, 'Workers=3\n' + roll + surge)
                if self.daemon:
                    self.ctl('reload', 'serve')
                else:
                    self.start()
                before = set(self.actors())
                clients = [socket.create_connection(('127.0.0.1', port), timeout=PATIENCE) for _ in range(30)]
                self.monitor('serve', 'Exec=%s\n%s' % (server, listen), 'Workers=3\n' + roll + surge)
                self.ctl('reload', 'serve')
                self.assertNotEqual(set(self.actors()), before)
                cookies = {self.out.line().split()[2] for _ in range(3)}
                self.assertEqual(len(cookies), 3)
                pids = {a['pid'] for a in self.actors().values()}
                for c in clients:
                    self.assertIn(int(c.makefile().readline()), pids)
                    c.close()
                # As often as one likes: the sockets stay the same.
                load = Load(('127.0.0.1', port))
                try:
                    for _ in range(3):
                        self.ctl('restart', 'serve')
                        self.assertEqual({self.out.line().split()[2] for _ in range(3)}, cookies)
                finally:
                    load.stop()
                self.assertEqual(load.failures, [])
        self.stop()

    def test_one_each_back_by_surge(self):
        """Of those that come and fail, and those that come back, none has a socket of its own."""
        port, roll = free_port(), 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\nMinReadySec=0\nBackoffMinSec=100ms\n'
        listen = 'ListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\nReusePort=yes\n' % port
        good = 'Exec=%s\n%s' % (self.script('serve.py', SERVER), listen)
        self.monitor('serve', good, roll)
        self.start()
        cookies = {self.out.line().split()[2] for _ in range(3)}
        load = Load(('127.0.0.1', port))
        try:
            self.monitor('serve', 'Exec=/bin/false\nType=notify\n' + listen, roll)
            self.assertIn('halted', self.ctl('reload', 'serve', status=1))
            self.ctl('reload', '--abort', 'serve')
            self.monitor('serve', good + 'Nice=1\n', roll)
            self.ctl('reload', 'serve')
            self.assertEqual({self.out.line().split()[2] for _ in range(3)}, cookies)
        finally:
            load.stop()
        self.assertEqual(load.failures, [])
        self.stop()

    def test_one_each_to_fewer(self):
        """Who waits at the socket of one that leaves, and accepts nobody, is served by one who stays."""
        # Both accept nobody until they are told to.
        server = self.script('serve.py', 'import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n'
                             'print("here", flush=True)\nsignal.sigwait([signal.SIGUSR1])\n' + SERVER)
        port = free_port()
        self.monitor('serve', 'Exec=%s\nListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\nReusePort=yes\n' % (server, port), 'Workers=2\n')
        self.start('--log-level=debug')
        if any('is lost when that is closed' in line for line in self.log.seen):
            self.skipTest('the arbiter may not say what becomes of them')
        for _ in range(2):
            self.assertEqual(self.out.line(), 'here')
        clients = [socket.create_connection(('127.0.0.1', port), timeout=PATIENCE) for _ in range(40)]
        pids = {name: a['pid'] for name, a in self.actors().items()}
        self.ctl('kill', '--signal=USR1', 'serve.2')
        self.out.line()
        served = select.select(clients, [], [], PATIENCE)[0]
        self.assertTrue(served)
        self.assertLess(len(served), len(clients))
        self.ctl('scale', 'serve', '1')
        self.assertEqual(list(self.actors()), ['serve.2'])
        for c in clients:
            self.assertEqual(int(c.makefile().readline()), pids['serve.2'])
            c.close()
        self.stop()

    def test_one_each_up_and_down(self):
        """Connections come all the time, also when a worker has just seen that nobody waits, and ends."""
        port = free_port()
        self.monitor('serve', 'Exec=%s\nListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\nReusePort=yes\n' % (
            self.script('serve.py', SERVER), port), 'Workers=4\n')
        self.start('--log-level=debug')
        if any('is lost when that is closed' in line for line in self.log.seen):
            self.skipTest('the arbiter may not say what becomes of them')
        loads = [Load(('127.0.0.1', port)) for _ in range(4)]
        try:
            for _ in range(10):
                self.ctl('scale', 'serve', '1')
                self.ctl('scale', 'serve', '4')
        finally:
            for load in loads:
                load.stop()
        self.assertEqual([f for load in loads for f in load.failures], [])
        self.stop()

    def test_no_place_no_socket(self):
        """A reload opens none for a worker that there is not: who is given to that would wait for ever."""
        port = free_port()
        listen = 'ListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\nReusePort=yes\n' % port
        server = self.script('serve.py', SERVER)
        self.monitor('serve', 'Exec=%s\n%s' % (server, listen), 'Workers=3\nMinReadySec=0\n')
        self.start()
        self.ctl('scale', 'serve', '1')
        self.assertNotIn('serve.1', self.actors())  # the oldest leave first
        self.monitor('serve', 'Exec=%s\n%sNice=1\n' % (server, listen), 'Workers=1\nMinReadySec=0\n')
        self.ctl('reload', 'serve')
        pid, = {a['pid'] for a in self.actors().values()}
        self.assertEqual({ask(('127.0.0.1', port)) for _ in range(30)}, {pid})
        self.stop()

    def test_halted(self):
        """By a definition that does not start, back from it, and on to one that does; clients notice nothing."""
        port, roll = free_port(), 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n'
        listen = 'ListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\n' % port
        good = 'Exec=%s\n%s' % (self.script('serve.py', SERVER), listen)
        self.monitor('serve', good, roll + 'MinReadySec=0\n')
        self.start()
        load = Load(('127.0.0.1', port))
        try:
            before = sorted(a['pid'] for a in self.actors().values())
            self.monitor('serve', 'Exec=/bin/false\nType=notify\n' + listen, roll)
            self.assertIn('halted', self.ctl('reload', 'serve', status=1))
            self.assertLessEqual(set(before), {a['pid'] for a in self.actors().values()})
            self.ctl('reload', '--abort', 'serve')
            self.assertEqual(sorted(a['pid'] for a in self.actors().values()), before)
            self.monitor('serve', good + 'Nice=1\n', roll + 'MinReadySec=0\n')
            self.ctl('reload', 'serve')
            after = {a['pid'] for a in self.actors().values()}
            self.assertEqual(len(after), 3)
            self.assertFalse(after & set(before))
            while not after & set(load.pids) and not load.failures:
                ask(('127.0.0.1', port))
        finally:
            load.stop()
        self.assertEqual(load.failures, [])
        self.stop()

    def test_bound_otherwise(self):
        """With another ReusePort= the pool is stopped, and started anew."""
        port = free_port()
        for extra in '', 'ReusePort=yes\n', '':
            self.monitor('serve', 'Exec=%s\nListenStream=127.0.0.1:%d\nEnvironment=WHO=%%n\n%s' % (
                self.script('serve.py', SERVER), port, extra), 'Workers=2\n')
            if self.daemon:
                self.ctl('reload')
            else:
                self.start()
            cookies = {self.out.line().split()[2] for _ in range(2)}
            self.assertEqual(len(cookies), 2 if extra else 1)
            ask(('127.0.0.1', port))
        self.stop()


class Passed(base.Case):
    """What a socket unit hands over."""

    def pass_on(self, *sockets, names):
        """Starts the arbiter with these as descriptors 3 and so on."""
        launcher = ('import os, sys\n'
                    'fds = [int(a) for a in sys.argv[1].split(",")]\n'
                    'for i, fd in enumerate(fds):\n    os.dup2(fd, 100 + i)\n'
                    'for i, fd in enumerate(fds):\n    os.dup2(100 + i, 3 + i)\n    os.close(100 + i)\n'
                    'os.environ["LISTEN_PID"] = str(os.getpid())\n'
                    'os.execv(sys.argv[2], sys.argv[2:])\n')
        fds = [s.fileno() for s in sockets]
        self.daemon = subprocess.Popen(
            [sys.executable, '-c', launcher, ','.join(map(str, fds)), *self.command()], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=fds,
            env={**self.environment, 'LISTEN_FDS': str(len(fds)), 'LISTEN_FDNAMES': ':'.join(names)})
        self.log, self.out = base.Log(self.daemon.stderr.fileno()), base.Log(self.daemon.stdout.fileno())
        self.log.expect(r' in %s\.$' % re.escape(self.directory))

    def listen(self):
        s = socket.socket()
        self.addCleanup(s.close)
        s.bind(('127.0.0.1', 0))
        s.listen()
        return s

    def test_by_name(self):
        a, b, c = self.listen(), self.listen(), self.listen()
        self.monitor('serve', 'Exec=%s\nSockets=web.socket\nListenStream=@%s\nEnvironment=WHO=%%n\n' % (
            self.script('serve.py', SERVER), self.mark))
        self.pass_on(a, b, c, names=['web.socket', 'other', 'web.socket'])
        self.assertEqual(self.out.line().split()[:4], ['serve.1', 'web.socket', 'web.socket', 'serve'])
        self.assertRegex('\n'.join(self.log.seen), r'a socket with the name other, which no actor has')
        pid = self.actors()['serve.1']['pid']
        self.assertEqual({ask(a.getsockname()), ask(c.getsockname())}, {pid})
        # It waits for whoever is loaded later.
        self.monitor('late', 'Exec=%s\nSockets=other\nEnvironment=WHO=%%n\n' % self.script('serve.py', SERVER))
        self.ctl('reload')
        self.assertEqual(self.out.line().split()[:2], ['late.1', 'other'])
        self.assertEqual(ask(b.getsockname()), self.actors()['late.1']['pid'])
        self.stop()

    def test_not_passed(self):
        self.actor('web', 'Exec=/bin/sleep 1000\nSockets=web.socket\n')
        self.start()
        self.assertRegex('\n'.join(self.log.seen), r'web\.actor: systemd has passed no socket with the name web\.socket')
        self.assertIn('Not loaded: web.actor', self.ctl('status'))
        self.stop()


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[6:]], verbosity=2)
