#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterd with real workers on a user's bus that dies and comes back, and two arbiterd that want the same name. Waits for
lines of their logs, never for time.

test-bus-arbiterd.py ARBITERD
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ARBITERD = os.path.abspath(sys.argv[1])
NAME, PATH = 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1'
PATIENCE = 30  # only a failing test waits that long
CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
'''


class Lines:
    """Of a pipe, each looked at once."""

    def __init__(self, pipe):
        self.fd, self.rest, self.seen = pipe.fileno(), b'', []

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE
        while True:
            while b'\n' not in self.rest:
                if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                    raise AssertionError('"%s" did not come; so far:\n%s' % (text, '\n'.join(self.seen)))
                data = os.read(self.fd, 65536)
                if not data:
                    raise AssertionError('it has ended:\n' + '\n'.join(self.seen))
                self.rest += data
            line, _, self.rest = self.rest.partition(b'\n')
            self.seen.append(line.decode())
            if text in self.seen[-1]:
                return self.seen[-1]


class Bus(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='bus-arbiterd-')
        self.addCleanup(temporary.cleanup)
        self.top = temporary.name
        self.environment = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent',
                            'XDG_RUNTIME_DIR': self.top,
                            'DBUS_SESSION_BUS_ADDRESS': 'unix:path=' + self.top + '/bus'}
        self.environment.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
        self.write('bus.conf', CONFIG % (self.top + '/bus'))
        os.mkdir(self.top + '/etc')
        self.write('etc/web.monitor', '[Monitor]\nWorkers=3\n[Actor]\nExec=/bin/sleep infinity\n' +
                   ('User=root\n' if os.geteuid() == 0 else ''))
        self.start_bus()

    def write(self, name, text):
        with open(os.path.join(self.top, name), 'w') as f:
            f.write(text)

    def start_bus(self):
        self.bus = subprocess.Popen(['dbus-daemon', '--config-file', self.top + '/bus.conf', '--nofork', '--nopidfile',
                                     '--print-address=1'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    env=self.environment)
        self.addCleanup(self.end, self.bus)
        self.assertIn(b'unix:', self.bus.stdout.readline())

    def end(self, process, how=signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(how)
        process.wait(PATIENCE)
        for pipe in [process.stdout, process.stderr]:
            if pipe:
                pipe.close()

    def start_arbiter(self, name):
        p = subprocess.Popen([ARBITERD, '--user', '--runtime-dir', os.path.join(self.top, name), '--config-dir',
                              self.top + '/etc'], stderr=subprocess.PIPE, env=self.environment)
        self.addCleanup(self.end, p, signal.SIGTERM)
        return p, Lines(p.stderr)

    def busctl(self, *arguments):
        out = subprocess.run(['busctl', '--address=' + self.environment['DBUS_SESSION_BUS_ADDRESS'], '--json=short',
                              *arguments], check=True, stdout=subprocess.PIPE, text=True, env=self.environment).stdout
        return json.loads(out) if out.strip() else None

    def call(self, *arguments):
        return self.busctl('call', NAME, PATH, NAME + '.Manager', *arguments)

    def workers(self):
        return {(actor[0], actor[5]) for actor in self.call('ListActors')['data'][0]}

    def test_bus_dies(self):
        _, log = self.start_arbiter('one')
        log.expect('Reachable on the user bus as ' + NAME)
        self.call('Scale', 'su', 'web', '4')
        before = self.workers()
        self.assertEqual(len(before), 4)
        for _ in range(3):
            self.end(self.bus)
            log.expect('The connection to the user bus is lost')
            self.start_bus()
            log.expect('Reachable on the user bus as ' + NAME)
            self.assertEqual(self.workers(), before)
            for aid, pid in before:
                os.kill(pid, 0)

    def test_two(self):
        first, log = self.start_arbiter('one')
        log.expect('Reachable')
        _, log = self.start_arbiter('two')
        self.assertIn('(pid %d)' % first.pid, log.expect('belongs to another process'))
        before = self.workers()
        self.end(first, signal.SIGTERM)
        log.expect('Reachable')
        self.assertFalse(self.workers() & before)

    def test_objects(self):
        _, log = self.start_arbiter('one')
        log.expect('Reachable')
        objects = self.busctl('call', NAME, PATH, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')['data'][0]
        self.assertIn(PATH + '/monitor/web', objects)
        self.assertEqual(sum(p.startswith(PATH + '/actor/') for p in objects), 3)
        found = self.busctl('get-property', NAME, PATH, NAME + '.Manager', 'NActors')
        self.assertEqual(found, {'type': 'u', 'data': 3})


class Holder(unittest.TestCase):
    def children(self, pid):
        with open('/proc/%d/task/%d/children' % (pid, pid), encoding='ascii') as f:
            return list(map(int, f.read().split()))

    def comm(self, pid):
        with open('/proc/%d/comm' % pid, encoding='utf-8') as f:
            return f.read().strip()

    def test_descriptors(self):
        """Who holds the scope holds nothing else open: what the arbiter closes is closed. The bus hangs meanwhile."""
        with tempfile.TemporaryDirectory(prefix='bus-arbiterd-') as top, socket.socket(socket.AF_UNIX) as bus:
            bus.bind(top + '/bus')
            bus.listen()
            bus.settimeout(PATIENCE)
            p = subprocess.Popen([ARBITERD, '--user', '--runtime-dir=' + top + '/run', '--config-dir=' + top],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(bus.fileno(),),
                                 env={**os.environ, 'XDG_RUNTIME_DIR': top, 'DBUS_SESSION_BUS_ADDRESS': 'unix:path=' + top + '/bus',
                                      'ARBITER_LOG_TARGET': 'console'})
            try:
                with bus.accept()[0]:
                    holder, = self.children(p.pid)
                    while self.comm(holder) != 'arbiter-holder':
                        self.assertIsNone(p.poll())
                    self.assertEqual(len(os.listdir('/proc/%d/fd' % holder)), 4)
            finally:
                p.terminate()
                p.wait(PATIENCE)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
