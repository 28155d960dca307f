#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Listening sockets of actors in a booted systemd: handed to units, taken from socket units, with real connections while
workers and the arbiter are replaced. Not one may be refused, reset or left alone."""

import json
import re

import case

# What is said by whoever answers at a port, again and again; at the end of its input it says what has gone wrong.
LOAD = r'''
import collections, json, select, socket, sys
address = ("127.0.0.1", int(sys.argv[1]))
answers, failures = collections.Counter(), []
print("begun", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        with socket.create_connection(address, timeout=20) as s, s.makefile() as f:
            line = f.readline()
            answers[line.strip()] += 1
            if not line:
                failures.append("nobody answers")
    except OSError as e:
        failures.append(repr(e))
print(json.dumps([answers, failures]), flush=True)
'''
# Ends in order: who has been accepted is served, and what waits on a socket of its own, too.
SERVER = r'''
import os, select, signal, socket
assert os.environ["LISTEN_PID"] == str(os.getpid())
sockets = [socket.socket(fileno=3 + i) for i in range(int(os.environ["LISTEN_FDS"]))]
wake, end = os.pipe()
os.set_blocking(end, False)
signal.set_wakeup_fd(end)
signal.signal(signal.SIGTERM, lambda *_: None)
for s in sockets:
    s.setblocking(False)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
    n.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
print("serving", os.environ["LISTEN_FDNAMES"], "stdin", os.readlink("/proc/self/fd/0"), flush=True)
while True:
    ready = select.select([wake, *sockets], [], [])[0]
    if ready == [wake]:
        break
    for s in set(ready) & set(sockets):
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        c.setblocking(True)
        c.sendall(b"%d\n" % os.getpid())
        c.close()
'''


class Sockets(case.Service):
    PORT = 7878

    def setUp(self):
        super().setUp()
        self.write('/usr/local/bin/server.py', SERVER, 0o755)
        self.write('/usr/local/bin/load.py', LOAD, 0o755)
        self.box.copy(self.box.build + '/examples/greeter.so', '/usr/local/lib/greeter.so', 0o755)

    def load(self, port=PORT):
        p = self.box.popen(['python3', '/usr/local/bin/load.py', str(port)], stdin=-1)
        p.expect('begun')
        return p

    def answers(self, load):
        """Ends it. Who has answered how often; nobody may have been turned away."""
        load.end_input()
        answers, failures = json.loads(load.expect(r'^(\[.*\])$').group(1))
        load.close()
        self.assertEqual(failures, [])
        return answers

    def ask(self):
        return self.out('python3', '-c', 'import socket\nprint(socket.create_connection(("127.0.0.1", %d), timeout=20)'
                        '.makefile().readline().strip())' % self.PORT).strip()

    def wait_running(self, n):
        def running():
            actors = {name: a for name, a in self.actors().items() if a['state'] == 'running'}
            return actors if len(actors) == n else None
        return self.box.wait_for(running, '%d running' % n)

    def serve(self, more='', workers=3, nice=1):
        self.monitor('serve', 'Exec=/usr/bin/python3 /usr/local/bin/server.py\nType=notify\nNice=%d\n%s' % (nice, more),
                     'Workers=%d\n' % workers)

    def replaced(self, settings):
        """Workers are replaced while there are connections all the time."""
        self.serve(settings)
        self.start()
        before = {a['pid'] for a in self.wait_running(3).values()}
        load = self.load()
        for nice in 2, 3:
            self.serve(settings, nice=nice)
            self.ctl('reload')
            self.box.wait_for(lambda: not before & {a['pid'] for a in self.actors().values()}, 'new workers')
            self.wait_running(3)
            self.ctl('restart', 'serve')
            before = {a['pid'] for a in self.wait_running(3).values()}
        answers = self.answers(load)
        self.assertGreater(len(answers), 6)
        return answers

    def test_unit_workers(self):
        self.replaced('Concurrency=unit\nListenStream=127.0.0.1:%d\nListenStream=@unused\nFileDescriptorName=web:other\n' % self.PORT)
        entry = self.entry('ARBITER_NAME=serve.2', predicate=lambda e: str(e['MESSAGE']).startswith('serving'))
        self.assertEqual(entry['MESSAGE'], 'serving web:other stdin /dev/null')
        unit = 'arbiter-system-serve-2.service'
        pid = self.actors()['serve.2']['pid']
        self.assertEqual(self.box.property(unit, 'MainPID'), str(pid))
        self.assertEqual(self.out('cat', '/proc/%d/cmdline' % pid).split('\0')[:2], ['/usr/bin/python3', '/usr/local/bin/server.py'])
        self.assertNotIn('LISTEN', self.box.property(unit, 'Environment'))

    def test_unit_workers_with_one_each(self):
        self.replaced('Concurrency=unit\nReusePort=yes\nListenStream=127.0.0.1:%d\n' % self.PORT)

    def test_forked_workers_with_one_each(self):
        self.replaced('ReusePort=yes\nListenStream=127.0.0.1:%d\n' % self.PORT)

    def test_modules_as_units(self):
        for extra in '', 'ReusePort=yes\n':
            self.monitor('greeter', 'Concurrency=unit\nModule=/usr/local/lib/greeter.so\nListenStream=127.0.0.1:%d\n%s' % (
                self.PORT, extra), 'Workers=2\n')
            self.start()
            self.wait_running(2)
            self.assertIn('hello from greeter.', self.ask())
            self.assertIn('2 sent, 2 received', self.ctl('ping', '-c', '2', 'greeter.1').stdout)
            load = self.load()
            self.ctl('restart', 'greeter')
            self.wait_running(2)
            self.assertLessEqual(set(self.answers(load)), {'hello from greeter.1', 'hello from greeter.2'})
            self.stop()

    # The arbiter dies

    def sockets(self, actors):
        """What the workers have as their first socket."""
        return {name: self.out('readlink', '/proc/%d/fd/3' % a['pid']).strip() for name, a in actors.items()}

    def survived(self, settings):
        self.serve(settings)
        self.start()
        before = self.wait_running(3)
        sockets = self.sockets(before)
        load = self.load()
        for i in range(4):
            if i == 2:
                self.run_in('systemctl', 'restart', self.UNIT)
            else:
                self.crash()
            self.assertEqual({n: a['pid'] for n, a in self.wait_running(3).items()}, {n: a['pid'] for n, a in before.items()})
        # The next arbiter has them, too: for the successors.
        self.ctl('restart', 'serve')
        after = self.wait_running(3)
        self.assertFalse({a['pid'] for a in before.values()} & {a['pid'] for a in after.values()})
        self.assertEqual(self.sockets(after), sockets)
        self.crash()
        self.wait_running(3)
        self.answers(load)
        return sockets

    def test_arbiter_dies_forked(self):
        self.assertEqual(len(set(self.survived('ListenStream=127.0.0.1:%d\n' % self.PORT).values())), 1)

    def test_arbiter_dies_units(self):
        self.survived('Concurrency=unit\nListenStream=127.0.0.1:%d\n' % self.PORT)

    def test_arbiter_dies_one_each(self):
        sockets = self.survived('ReusePort=yes\nListenStream=127.0.0.1:%d\n' % self.PORT)
        self.assertEqual(len(set(sockets.values())), 3)
        # With its place the socket goes, also that of an arbiter before; the others get all.
        load = self.load()
        self.ctl('scale', 'serve', '1')
        pid = self.wait_running(1).popitem()[1]['pid']
        self.assertEqual({self.ask() for _ in range(10)}, {str(pid)})
        self.answers(load)

    def test_arbiter_dies_all_kinds(self):
        """What is written while there is no arbiter, and no worker, is read by the next one."""
        kinds = ('ListenFIFO=/run/all/fifo', 'ListenDatagram=/run/all/datagram', 'ListenSequentialPacket=/run/all/packets',
                 'ListenStream=@all', 'ListenDatagram=127.0.0.1:%d' % self.PORT, 'ListenStream=[::1]:%d' % self.PORT)

        def inodes():
            pid = self.wait_running(1).popitem()[1]['pid']
            return self.out('stat', '-L', '-c', '%d %i', *['/proc/%d/fd/%d' % (pid, 3 + i) for i in range(len(kinds))])

        reader = ('import os, select\nwhile True:\n    for fd in select.select([3, 4, 7], [], [])[0]:\n'
                  '        print("read", fd, os.read(fd, 100).decode().strip(), flush=True)\n')
        self.write('/usr/local/bin/reader.py', reader, 0o755)
        self.monitor('all', 'Exec=/usr/bin/python3 /usr/local/bin/reader.py\n%s\n' % '\n'.join(kinds))
        self.start()
        before = inodes()
        self.crash()
        self.assertEqual(inodes(), before)
        self.ctl('stop', 'all.1')
        self.run_in('systemctl', 'kill', '--signal=STOP', '--kill-who=main', self.UNIT)
        self.out('sh', '-c', 'echo fifo >/run/all/fifo')
        self.out('python3', '-c', 'import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"datagram", "/run/all/datagram")\n'
                 'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"udp", ("127.0.0.1", %d))' % self.PORT)
        cursor = self.box.cursor()
        self.crash()
        self.ctl('restart', 'all.1')
        self.assertEqual(inodes(), before)
        for text in 'read 3 fifo', 'read 4 datagram', 'read 7 udp':
            self.entry('ARBITER_NAME=all.1', cursor=cursor, predicate=lambda e: e['MESSAGE'] == text)
        self.assertEqual([e['MESSAGE'] for e in self.box.entries(self.cursor, '_SYSTEMD_UNIT=' + self.UNIT) if 'opened anew' in str(e['MESSAGE'])], [])

    def test_arbiter_is_executed_anew(self):
        """Those of a socket unit stay where they are, too."""
        self.socket_unit('web', 'ListenStream=127.0.0.1:%d\n' % self.PORT)
        self.serve('Sockets=web.socket\nListenStream=127.0.0.1:%d\nReusePort=yes\n' % (self.PORT + 1))
        self.start()
        before = self.wait_running(3)
        sockets = self.sockets(before)
        loads = [self.load(port) for port in (self.PORT, self.PORT + 1)]
        for _ in range(3):
            self.ctl('daemon-reexec')
            self.assertEqual({n: a['pid'] for n, a in self.wait_running(3).items()}, {n: a['pid'] for n, a in before.items()})
        self.ctl('restart', 'serve')
        self.assertEqual(self.sockets(self.wait_running(3)), sockets)
        for load in loads:
            self.answers(load)

    def test_path_is_gone_while_the_arbiter_is(self):
        self.serve('ListenStream=/run/serve/socket\n', 2)
        self.start()
        before = {a['pid'] for a in self.wait_running(2).values()}
        self.run_in('rm', '/run/serve/socket')
        cursor = self.box.cursor()
        self.crash()
        self.entry('_SYSTEMD_UNIT=arbiter.service', cursor=cursor, predicate=lambda e: re.search(
            r'what was listened to on /run/serve/socket is not to be found there any more; it is opened anew', e['MESSAGE']))
        self.box.wait_for(lambda: not before & {a['pid'] for a in self.actors().values()}, 'workers that have the new one')
        self.wait_running(2)
        answer = self.out('python3', '-c', 'import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect("/run/serve/socket")\n'
                          'print(s.makefile().readline().strip())').strip()
        self.assertIn(int(answer), {a['pid'] for a in self.actors().values()})

    def test_definition_is_gone_while_the_arbiter_is(self):
        self.monitor('serve', 'Exec=/bin/sleep 1000\nListenStream=/run/serve/socket\nListenFIFO=/run/serve/fifo\n'
                     'ListenStream=127.0.0.1:%d\n' % self.PORT, 'Workers=2\n')
        self.start()
        self.wait_running(2)
        self.run_in('rm', self.ETC + '/serve.monitor')
        self.crash()
        self.box.wait_for(lambda: not self.workers(), 'the end of all workers')
        self.assertEqual(self.out('ls', '/run/serve'), '')
        self.assertEqual(self.out('ss', '-Hltn', 'sport = :%d' % self.PORT), '')

    def test_a_program_that_is_not_there(self):
        """Behind the one that takes the sockets, it is said as if systemd had executed it."""
        self.write('/usr/local/bin/nonesuch', '#!/nonexistent/interpreter\n', 0o755)
        self.monitor('gone', 'Concurrency=unit\nExec=/usr/local/bin/nonesuch\nRestart=temporary\nListenStream=127.0.0.1:%d\n' % self.PORT)
        self.start()
        deaths = self.box.wait_for(lambda: json.loads(self.ctl('deaths', 'gone.1', '--json=short').stdout), 'its end')
        self.assertEqual((deaths[0]['reason'], deaths[0]['status']), ('exit-code', 203))
        self.entry('ARBITER_NAME=gone.1', predicate=lambda e: 'cannot execute /usr/local/bin/nonesuch: No such file' in str(e['MESSAGE']))

    def socket_unit(self, name, text):
        self.write('/etc/systemd/system/%s.socket' % name, '[Socket]\nService=arbiter.service\n' + text)
        self.run_in('systemctl', 'daemon-reload')
        self.run_in('systemctl', 'start', name + '.socket')
        self.addCleanup(self.remove_socket, name)

    def remove_socket(self, name):
        self.run_in('systemctl', 'stop', name + '.socket', 'arbiter.service')
        self.run_in('rm', '/etc/systemd/system/%s.socket' % name)
        self.run_in('systemctl', 'daemon-reload')

    def test_socket_units(self):
        """systemd opens them, starts the arbiter when somebody connects, and has them while it is restarted."""
        self.socket_unit('web', 'ListenStream=127.0.0.1:%d\n' % self.PORT)
        self.socket_unit('admin', 'ListenStream=/run/admin\nFileDescriptorName=named\n')
        for concurrency in 'process', 'unit':
            self.serve('Concurrency=%s\nSockets=web.socket named\n' % concurrency, 2)
            cursor = self.box.cursor()
            self.assertEqual(self.property('ActiveState'), 'inactive')
            self.assertRegex(self.ask(), r'^\d+$')
            self.assertEqual(self.property('ActiveState'), 'active')
            self.wait_running(2)
            field = 'ARBITER_NAME=serve.1'
            self.entry(field, cursor=cursor, predicate=lambda e: 'serving web.socket:named' in str(e['MESSAGE']))
            load = self.load()
            before = self.pid()
            self.run_in('systemctl', 'restart', 'arbiter.service')
            self.assertNotEqual(self.pid(), before)
            self.wait_running(2)
            self.assertGreater(len(self.answers(load)), 0)
            # systemd has put it into blocking mode under those who work with it.
            pid = self.actors()['serve.1']['pid']
            self.assertTrue(int(re.search(r'flags:\s*(\d+)', self.out('cat', '/proc/%d/fdinfo/3' % pid)).group(1), 8) & 0o4000)
            self.run_in('systemctl', 'stop', 'web.socket', 'admin.socket', 'arbiter.service')
            self.run_in('systemctl', 'start', 'web.socket', 'admin.socket')

    def test_socket_unit_that_is_missing(self):
        self.serve('Sockets=web.socket\n')
        self.start()
        self.entry('_SYSTEMD_UNIT=arbiter.service', predicate=lambda e: re.search(
            r'serve\.monitor: systemd has passed no socket with the name web\.socket\. Write Service=', e['MESSAGE']))
        self.assertIn('Not loaded: serve.monitor', self.ctl('status').stdout)

    def test_of_a_user(self):
        """The arbiter of a user, whose units are the user's systemd's, and a socket unit of the user's."""
        etc, unit = '/home/alice/.config/arbiter', '/home/alice/.config/systemd/user/web.socket'
        systemctl = ['systemctl', '--user']
        self.write(unit, '[Socket]\nListenStream=127.0.0.1:%d\nService=arbiter.service\n' % (self.PORT + 1), owner='alice')
        self.write(etc + '/serve.monitor', '[Monitor]\nWorkers=2\n[Actor]\nConcurrency=unit\nType=notify\nReusePort=yes\nSockets=web.socket\n'
                   'Exec=/usr/bin/python3 /usr/local/bin/server.py\nListenStream=127.0.0.1:%d\n' % self.PORT, owner='alice')
        try:
            self.run_in(*systemctl, 'daemon-reload', user='alice')
            self.run_in(*systemctl, 'start', 'web.socket', user='alice')
            self.run_in(*systemctl, 'start', 'arbiter.service', user='alice')
            self.ctl('--user', 'wait', 'serve', 'running', user='alice')
            load = self.load()
            self.ctl('--user', 'restart', 'serve', user='alice')
            self.assertGreater(len(self.answers(load)), 1)
            entry = self.entry('SYSLOG_IDENTIFIER=serve.1', predicate=lambda e: str(e['MESSAGE']).startswith('serving'))
            self.assertEqual(entry['MESSAGE'], 'serving web.socket:serve stdin /dev/null')
        finally:
            self.run_in(*systemctl, 'stop', 'web.socket', 'arbiter.service', user='alice', check=False)
            self.run_in('rm', '-rf', etc, unit)

    def test_of_a_user_who_may_not(self):
        """An unprivileged arbiter says what it may not, and what would help; the rest runs."""
        etc = '/home/alice/.config/arbiter'
        try:
            for name, listen in (('low', 'ListenStream=127.0.0.1:80'), ('owner', 'ListenStream=%t/owner\nSocketUser=bob'),
                                 ('path', 'ListenStream=/run/path'), ('good', 'ListenStream=%t/good\nSocketMode=0600')):
                self.write('%s/%s.monitor' % (etc, name), '[Actor]\nExec=/bin/sleep 1000\n%s\n' % listen, owner='alice')
            self.run_in('systemctl', '--user', 'start', 'arbiter.service', user='alice')
            for text in (r'low\.monitor: cannot listen on 127\.0\.0\.1:80: Permission denied\. Ports below 1024 are for root',
                         r'owner\.monitor: cannot listen on \S+/owner: Operation not permitted\. Only root may',
                         r'path\.monitor: cannot listen on /run/path: Permission denied\. The arbiter\'s user may not'):
                self.entry('_SYSTEMD_USER_UNIT=arbiter.service', predicate=lambda e: re.search(text, str(e['MESSAGE'])))
            self.assertEqual(list(self.actors('--user', user='alice')), ['good.1'])
            self.assertEqual(self.out('stat', '-c', '%a %U', '/run/user/2000/arbiter/good').strip(), '600 alice')
        finally:
            self.run_in('systemctl', '--user', 'stop', 'arbiter.service', user='alice', check=False)
            self.run_in('rm', '-rf', etc)

    def test_mode(self):
        """The arbiter's own mask is 0077; who may connect is said by SocketMode=."""
        self.serve('ListenStream=/run/serve/socket\nListenFIFO=/run/serve/fifo\nSocketGroup=alice\n', 1)
        self.start()
        self.assertEqual(self.out('stat', '-c', '%a %U %G', '/run/serve', '/run/serve/socket', '/run/serve/fifo').splitlines(),
                         ['755 root root', '666 root alice', '666 root alice'])
        self.stop()
        self.assertEqual(self.out('ls', '/run/serve'), '')


if __name__ == '__main__':
    case.main()
