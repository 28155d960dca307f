#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterctl and arbiterd on a bus of a real dbus-daemon: which arbiter it finds by which option, what it says when there is
none, signals and the end of the arbiter over the bus, instances; it must not start anything by looking.

test-arbiterctl-bus.py ARBITERCTL ARBITERD
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

ARBITERCTL, ARBITERD = map(os.path.abspath, sys.argv[1:3])
ROOT = os.geteuid() == 0
PATIENCE = 30  # only a failing test waits that long
CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s/bus</listen><servicedir>%s/services</servicedir><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
'''


class Bus(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiterctl-bus-')
        self.addCleanup(temporary.cleanup)
        self.top = temporary.name
        address = 'unix:path=%s/bus' % self.top
        self.environment = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent',
                            'XDG_RUNTIME_DIR': self.top, 'DBUS_SESSION_BUS_ADDRESS': address,
                            'DBUS_SYSTEM_BUS_ADDRESS': address}
        self.environment.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
        self.write('bus.conf', CONFIG % (self.top, self.top))
        # whoever starts it by mistake leaves a trace
        self.write('services/io.arbiter.Arbiter1.service',
                   '[D-BUS Service]\nName=io.arbiter.Arbiter1\nExec=/bin/sh -c "touch %s/started"\n' % self.top)
        user = 'User=root\n' if ROOT else ''
        self.write('etc/web.monitor', '[Monitor]\nWorkers=2\n[Actor]\n%sExec=/bin/sleep infinity\n' % user)
        self.bus = subprocess.Popen(['dbus-daemon', '--config-file', self.top + '/bus.conf', '--nofork', '--nopidfile',
                                     '--print-address=1'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    env=self.environment)
        self.addCleanup(self.end, self.bus, signal.SIGKILL)
        self.assertIn(b'unix:', self.bus.stdout.readline())

    def write(self, name, text):
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def end(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
        process.wait(PATIENCE)
        for pipe in [process.stdout, process.stderr]:
            if pipe:
                pipe.close()

    def start(self, *options, directory='one'):
        p = subprocess.Popen([ARBITERD, '--user', '--runtime-dir', os.path.join(self.top, directory), '--config-dir',
                              self.top + '/etc', *options], stderr=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(self.end, p)
        lines = []
        while not any('Reachable on the user bus' in line for line in lines):
            lines.append(p.stderr.readline())
            self.assertTrue(lines[-1], lines)
        self.ok('--runtime-dir', os.path.join(self.top, directory), 'wait', 'web', 'running')
        return p

    def ctl(self, *arguments, env=None):
        p = subprocess.run([ARBITERCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           stdin=subprocess.DEVNULL, env={**self.environment, **(env or {})}, timeout=PATIENCE)
        return p.returncode, p.stdout, p.stderr

    def ok(self, *arguments, env=None):
        status, out, err = self.ctl(*arguments, env=env)
        self.assertEqual((status, err), (0, ''), arguments)
        return out

    def fails(self, status, pattern, *arguments, env=None):
        got, _, err = self.ctl(*arguments, env=env)
        self.assertEqual(got, status, err)
        self.assertRegex(err, pattern)

    def follow(self, *arguments):
        p = subprocess.Popen([ARBITERCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=self.environment)
        self.addCleanup(self.end, p)
        return p

    def test_nobody(self):
        command = '' if not os.path.isdir('/run/systemd/system') else 'systemctl'
        self.fails(3, r'No arbiter of the system is running\. Start it with .*%s' % command, '--system', 'status')
        self.fails(3, r'No arbiter of the user is running\.', '--user', 'stop', 'web')
        self.fails(3, r"No arbiter called 'shop' of the user is running\.", '--user', '--instance=shop', 'status')
        self.fails(3, r'No arbiter of the (user|system) is running', 'restart', 'web', '--no-block')
        self.assertFalse(os.path.exists(self.top + '/started'))

    def test_options(self):
        self.start()
        self.assertRegex(self.ok('--user', 'status', '-n0'), r'(?m)^● arbiter - version \S+, of the user$')
        self.assertRegex(self.ok('--system', 'status', '-n0'), r'(?m)^● arbiter - version \S+, of the system$')
        # neither option, and no private socket where it is looked for: by the bus
        self.assertRegex(self.ok('status', '-n0'), r', of the (user|system)\n')
        self.assertEqual(len(self.ok('--user', 'list-actors', '--no-legend').splitlines()), 2)
        self.assertRegex(self.ok('--user', 'restart', 'web.1'), r'^web\.1: \w{8} \(pid \d+\) → \w{8} \(pid \d+\)\n$')
        self.assertEqual(self.ok('--user', 'scale', 'web', '3'), 'web: 2 → 3 workers\n')
        self.assertRegex(self.ok('--user', 'ping', 'arbiter', '-c', '1'), '1 received')
        self.assertEqual(json.loads(self.ok('--user', 'show', '-p', 'Instance', '--json=short')), [{'instance': 'user'}])

    def test_host(self):
        self.start()
        self.write('bin/ssh', '#!/bin/sh\necho "$@" >%s/asked\nexec systemd-stdio-bridge --bus-path=unix:path=%s/bus\n' % (self.top, self.top))
        os.chmod(self.top + '/bin/ssh', 0o755)
        env = {'PATH': self.top + '/bin:/usr/bin:/bin'}
        self.assertIn(', on joe@far\n', self.ok('-H', 'joe@far', 'status', '-n', '5', env=env))
        with open(self.top + '/asked', encoding='utf-8') as f:
            self.assertIn('joe@far systemd-stdio-bridge', f.read())
        self.fails(3, r"No arbiter called 'shop' on far is running\. Start it with 'systemctl -H far start arbiter@shop'",
                   '-H', 'far', '--instance=shop', 'status', env=env)
        self.write('bin/ssh', '#!/bin/sh\necho "ssh: no route" >&2\nexit 255\n')
        self.fails(1, r"(?s)ssh: no route.*Cannot reach the system bus of far by ssh: .*'ssh far systemd-stdio-bridge'",
                   '-H', 'far', 'status', env=env)

    def test_own_socket_first(self):
        if ROOT:
            self.skipTest("root's is /run/arbiter, which this test may not touch")
        self.start(directory='arbiter')
        self.assertIn('in %s/arbiter\n' % self.top, self.ok('status', '-n0'))
        self.assertIn('of the user\n', self.ok('--user', 'status', '-n0'))

    def test_instances(self):
        self.start()
        self.start('--instance=my-shop', directory='two')
        self.ok('--user', '--instance=my-shop', 'scale', 'web', '1')
        self.assertIn("called 'my-shop' of the user", self.ok('--user', '--instance=my-shop', 'status', '-n0'))
        self.assertEqual(self.ok('--user', 'list-monitors', '--no-legend').split()[2], '2')
        self.assertEqual(self.ok('--user', '--instance=my-shop', 'list-monitors', '--no-legend').split()[2], '1')

    def test_signals(self):
        daemon = self.start()
        waits = self.follow('--user', 'wait', 'web.3', 'running')
        events = self.follow('--user', 'events', '--json=short')
        # nothing says that it is listening: until it has heard one
        line = None
        while line is None:
            self.ok('--user', 'scale', 'web', '3')
            self.ok('--user', 'scale', 'web', '2')
            os.set_blocking(events.stdout.fileno(), False)
            line = events.stdout.readline() or None
            os.set_blocking(events.stdout.fileno(), True)
        self.assertIn(json.loads(line)['event'], ['ActorNew', 'ActorGone', 'ActorStateChanged', 'MonitorChanged'])
        self.assertEqual(waits.wait(PATIENCE), 0)
        self.assertEqual(waits.stdout.read(), 'web.3: running\n')
        gone = self.follow('--user', 'wait', 'web.9', 'running')
        daemon.send_signal(signal.SIGTERM)
        out, err = events.communicate(timeout=PATIENCE)
        self.assertEqual((events.returncode, err), (3, 'arbiterctl: The arbiter is gone.\n'))
        _, err = gone.communicate(timeout=PATIENCE)
        self.assertEqual(gone.returncode, 3, err)
        self.assertTrue(re.match(r'arbiterctl: (The arbiter is gone|No arbiter of the user|.*closed the connection)', err), err)

    def test_an_arbiter_that_does_not_answer(self):
        daemon = self.start()
        daemon.send_signal(signal.SIGSTOP)
        self.fails(1, 'No answer in time', '--user', 'list-actors', '--timeout=200ms')
        daemon.send_signal(signal.SIGCONT)
        self.ok('--user', 'list-actors')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=1)
