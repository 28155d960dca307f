#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What arbiterd tells its service manager, heard by a socket of ours in place of systemd's: readiness, reloads, the end,
the status line, the watchdog; and what it takes from it: sockets, options. Waits for messages, never for time.

test-notify.py ARBITERD ARBITERCTL ARBITER_HOST
"""

import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ARBITERD, ARBITERCTL, HOST = map(os.path.abspath, sys.argv[1:4])
USER = 'User=root\n' if os.geteuid() == 0 else ''
ENVIRONMENT = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent'}
ENVIRONMENT.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
PATIENCE = 30  # only a failing test waits that long


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiter-notify-')
        self.addCleanup(temporary.cleanup)
        self.top = temporary.name
        self.directory, self.etc = self.top + '/run', self.top + '/etc'
        os.mkdir(self.etc)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.top + '/notify')
        self.seen = []
        self.daemon = None
        self.addCleanup(self.leave)

    def leave(self):
        if not self.daemon:
            return
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.terminate()
        status = self.daemon.wait(PATIENCE)
        with self.daemon.stderr as f:
            said = f.read()
        self.assertIn(status, (0, 1), said)
        self.assertNotIn('Sanitizer', said)

    def write(self, name, text):
        with open(os.path.join(self.etc, name), 'w', encoding='utf-8') as f:
            f.write(text)

    def monitor(self, name, command, more='', workers=1):
        self.write(name + '.monitor', '[Monitor]\nWorkers=%d\n[Actor]\n%sExec=%s\n%s' % (workers, USER, command, more))

    def command(self, *arguments):
        return [ARBITERD, '--runtime-dir=' + self.directory, '--config-dir=' + self.etc, '--host-program=' + HOST, *arguments]

    def start(self, *arguments, env=None, **options):
        environment = {**ENVIRONMENT, 'NOTIFY_SOCKET': self.top + '/notify', **(env or {})}
        self.daemon = subprocess.Popen(self.command(*arguments), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                       env=environment, **options)

    def message(self, deadline=None):
        """The next one, as a dictionary."""
        now = time.monotonic()
        deadline = deadline or now + PATIENCE
        if now > deadline or not select.select([self.socket], [], [], deadline - now)[0]:
            raise AssertionError('what was awaited has not come; so far:\n' + '\n'.join(map(str, self.seen[-1000:])))
        text = self.socket.recv(65536).decode()
        self.seen.append(dict(line.split('=', 1) for line in text.splitlines()))
        return self.seen[-1]

    def expect(self, key, pattern=''):
        deadline = time.monotonic() + PATIENCE
        while True:
            m = self.message(deadline)
            if key in m and re.search(pattern, m[key]):
                return m

    def status(self, pattern):
        """Waits until the status line is so, if it is not already."""
        known = self.statuses()
        if not known or not re.search(pattern, known[-1]):
            self.expect('STATUS', pattern)

    def started(self, *arguments, **options):
        self.start(*arguments, **options)
        return self.expect('READY')

    def ctl(self, *argv):
        return subprocess.run([ARBITERCTL, '--runtime-dir=' + self.directory, *argv], stdout=subprocess.PIPE, env=ENVIRONMENT,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)

    def statuses(self):
        return [m['STATUS'] for m in self.seen if 'STATUS' in m]


class Ready(Case):
    def test_it_is_ready_when_it_can_be_talked_to(self):
        self.monitor('web', '/bin/sleep 1000', workers=2)
        m = self.started()
        self.assertRegex(m['STATUS'], r'^1 monitor, \d of 2 actors running$')
        self.assertEqual(self.ctl('status').returncode, 0)
        self.status('^1 monitor, 2 of 2 actors running$')
        # Before that it has asked for time: there could have been much to start.
        self.assertIn('EXTEND_TIMEOUT_USEC', self.seen[0])
        self.assertEqual([m for m in self.seen if 'READY' in m], [m])

    def test_nothing_to_run_is_said(self):
        m = self.started()
        self.assertEqual(m['STATUS'], 'Nothing to run: there is no NAME.monitor or NAME.actor in ' + self.etc)

    def test_it_starts_without_a_bad_file_and_says_so(self):
        self.monitor('web', '/bin/sleep 1000')
        self.write('bad.monitor', 'nonsense\n')
        m = self.started()
        self.assertRegex(m['STATUS'], 'actor running; bad.monitor has errors and is not loaded$|actor running, .*bad.monitor')

    def test_a_start_that_fails_says_why(self):
        os.makedirs(self.directory + '/private/x', 0o700)
        os.chmod(self.directory, 0o700)
        self.start()
        m = self.expect('ERRNO')
        self.assertGreater(int(m['ERRNO']), 0)
        self.assertIn(self.directory + '/private', m['STATUS'])
        self.assertEqual(self.daemon.wait(PATIENCE), 1)
        self.assertFalse([m for m in self.seen if 'READY' in m])

    def test_workers_do_not_hear_of_it(self):
        os.mkfifo(self.top + '/env')
        self.monitor('web', "/bin/sh -c 'env >%s/env; exec sleep 1000'" % self.top)
        self.started(env={'WATCHDOG_USEC': '60000000', 'LISTEN_FDNAMES': 'x', 'INVOCATION_ID': 'x'})
        self.status('1 of 1')
        with open(self.top + '/env', encoding='utf-8') as f:
            names = {line.split('=')[0] for line in f}
        self.assertIn('PATH', names)
        self.assertFalse(names & {'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'LISTEN_FDNAMES', 'INVOCATION_ID'})


class Reload(Case):
    def reloaded(self):
        m = self.expect('RELOADING')
        self.assertEqual(m['RELOADING'], '1')
        asked = int(m['MONOTONIC_USEC']) / 1e6
        self.assertLessEqual(asked, time.monotonic())
        self.assertGreater(asked, self.before)
        return self.expect('READY')

    def test_by_signal(self):
        self.monitor('web', '/bin/sleep 1000')
        self.started()
        self.monitor('more', '/bin/sleep 1000')
        self.before = time.monotonic()
        self.daemon.send_signal(signal.SIGHUP)
        self.reloaded()
        self.status('^2 monitors, 2 of 2 actors running$')

    def test_a_refusal_is_told_and_the_old_goes_on(self):
        self.monitor('web', '/bin/sleep 1000')
        self.started()
        self.status('1 of 1')
        self.write('web.monitor', '[Monitor]\nWorkers=many\n')
        self.before = time.monotonic()
        p = self.ctl('reload')
        self.assertEqual(p.returncode, 1, p.stderr)
        self.assertIn('web.monitor:2', p.stderr)
        m = self.reloaded()
        self.assertEqual(m['STATUS'], '1 monitor, 1 of 1 actor running; web.monitor has errors and is not loaded')
        self.monitor('web', '/bin/sleep 1000')
        self.assertEqual(self.ctl('reload').returncode, 0)
        self.assertEqual(self.reloaded()['STATUS'], '1 monitor, 1 of 1 actor running')

    def test_a_refusal_of_the_main_file(self):
        self.started()
        self.write('arbiterd.conf', '[Arbiter]\nDefaultTimeoutSec=never\n')
        self.before = time.monotonic()
        self.assertEqual(self.ctl('reload').returncode, 1)
        self.assertIn('arbiterd.conf has errors', self.reloaded()['STATUS'])


class Status(Case):
    def test_trouble_has_a_name_and_a_reason(self):
        self.monitor('web', "/bin/sh -c 'exit 7'")
        self.monitor('good', '/bin/sleep 1000')
        self.started()
        self.status('in backoff')
        self.assertRegex(self.statuses()[-1],
                         r'^2 monitors, 1 of 2 actors running, 1 in backoff; web\.1: backoff [0-9.]+ s, exited with status 7$')

    def test_it_is_told_only_when_it_has_changed(self):
        self.monitor('web', "/bin/sh -c 'exec sleep 1000'", workers=3)
        self.started()
        self.status('3 of 3')
        self.assertEqual(self.ctl('scale', 'web', '5').returncode, 0)
        self.status('5 of 5')
        for _ in range(20):
            self.assertEqual(self.ctl('ping', '-c1', 'web.1').returncode, 0)
        self.daemon.terminate()
        self.expect('STOPPING')
        self.assertFalse([a for a, b in zip(self.statuses(), self.statuses()[1:]) if a == b])


class Stop(Case):
    def test_it_asks_for_the_time_that_its_slowest_may_take(self):
        self.monitor('web', '/bin/sleep 1000', 'TimeoutStopSec=7min\n', workers=3)
        self.started()
        self.status('3 of 3')
        self.daemon.terminate()
        m = self.expect('STOPPING')
        self.assertGreater(int(m['EXTEND_TIMEOUT_USEC']), 7 * 60 * 1000000)
        self.assertRegex(m['STATUS'], '^Stopping: [0-3] actors? left$')
        self.assertEqual(self.daemon.wait(PATIENCE), 0)

    def test_an_operator_stops_it(self):
        self.started()
        self.daemon.send_signal(signal.SIGINT)
        self.expect('STOPPING')
        self.assertEqual(self.daemon.wait(PATIENCE), 0)


class Watchdog(Case):
    def test_it_is_fed_while_the_loop_turns(self):
        self.started(env={'WATCHDOG_USEC': '200000'})
        for _ in range(3):
            self.expect('WATCHDOG', '^1$')
        self.daemon.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.daemon.pid, os.WSTOPPED)
        self.daemon.send_signal(signal.SIGCONT)
        self.expect('WATCHDOG')

    def test_no_watchdog_was_asked_for(self):
        self.monitor('web', '/bin/sleep 1000')
        self.started()
        self.status('1 of 1')
        self.assertFalse([m for m in self.seen if 'WATCHDOG' in m])


class Sockets(Case):
    def pass_sockets(self, **named):
        """Starts it as systemd does: descriptors from 3 on, and the pid of who is meant."""
        sockets = []
        for name in named:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(s.close)
            s.bind(self.top + '/' + name)
            s.listen()
            sockets.append(s)

        def prepare():
            fds = [os.dup(s.fileno()) for s in sockets]  # beyond those that are to be overwritten
            fds = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(fds):
                os.dup2(fd, 3 + i)

        environment = {**ENVIRONMENT, 'NOTIFY_SOCKET': self.top + '/notify', 'LISTEN_FDS': str(len(named)),
                       'LISTEN_FDNAMES': ':'.join(named.values())}
        self.daemon = subprocess.Popen(['/bin/sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', *self.command()], preexec_fn=prepare,
                                       close_fds=False, stderr=subprocess.PIPE, text=True, env=environment)
        self.expect('READY')

    def test_metrics(self):
        self.monitor('web', '/bin/sleep 1000')
        self.pass_sockets(a='metrics')
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(self.top + '/a')
            with s.makefile() as f:
                self.assertRegex(f.read(), r'(?s)arbiter_.*# EOF\n$')

    def test_a_name_that_nobody_has_is_told(self):
        self.pass_sockets(a='nonsense')
        self.daemon.terminate()
        self.daemon.wait(PATIENCE)
        self.assertIn('the name nonsense, which no actor has', self.daemon.stderr.read())


class Options(Case):
    def fails(self, pattern, *arguments, env=None):
        p = subprocess.run(self.command(*arguments), stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
                           env={**ENVIRONMENT, **(env or {})})
        self.assertEqual(p.returncode, 2, p.stderr)
        self.assertRegex(p.stderr, pattern)

    def test_instances(self):
        for name in ('', 'system', 'user', 'a/b', 'a\\x2db', '-a'):
            self.fails('no name for an instance', '--user', '--instance=' + name)
        self.fails('add --system or --user', '--instance=blue')
        self.fails('add --system or --user', '--stop-actors')

    def test_runtime_directory_of_an_instance(self):
        run = self.top + '/xdg'
        os.mkdir(run, 0o700)
        self.daemon = subprocess.Popen([ARBITERD, '--user', '--instance=blue', '--config-dir=' + self.etc],
                                       stderr=subprocess.PIPE, text=True,
                                       env={**ENVIRONMENT, 'NOTIFY_SOCKET': self.top + '/notify', 'XDG_RUNTIME_DIR': run})
        self.expect('READY')
        self.assertTrue(stat.S_ISSOCK(os.stat(run + '/arbiter-blue/private').st_mode))

    def test_without_systemd_it_says_so_and_runs(self):
        """A user's arbiter where there is no manager of the user: process groups, told in the log and in the status."""
        run = self.top + '/xdg'
        os.mkdir(run, 0o700)
        self.write('web.monitor', '[Monitor]\n[Actor]\nExec=/bin/sleep 1000\n')  # a user's: without User=
        m = self.started('--user', env={'XDG_RUNTIME_DIR': run})
        self.assertRegex(m['STATUS'], '; without cgroups: systemd cannot be reached')
        self.status('1 of 1 actor')
        self.daemon.terminate()
        self.daemon.wait(PATIENCE)
        self.assertRegex(self.daemon.stderr.read(), r'no scope for the actors \(systemd cannot be reached: .*process groups')

    def test_without_a_runtime_directory_of_the_user(self):
        """Nothing of systemd, nor a keeper, can be found then: it says so of what needs them, and runs the rest."""
        self.write('web.monitor', '[Monitor]\n[Actor]\nExec=/bin/sleep 1000\n')
        self.write('unit.monitor', '[Actor]\nConcurrency=unit\nExec=/bin/sleep 1000\n')
        self.started('--user', env={'XDG_RUNTIME_DIR': ''})
        self.status('1 of 1 actor')
        self.daemon.terminate()
        self.assertEqual(self.daemon.wait(PATIENCE), 0)
        error = self.daemon.stderr.read()
        self.assertRegex(error, r'unit\.monitor: Concurrency=unit cannot be had: \$XDG_RUNTIME_DIR is not set')
        self.assertRegex(error, r'No arbiter-keeper can be found, since \$XDG_RUNTIME_DIR is not set')

    def test_a_user_cannot_change_users(self):
        self.write('web.monitor', '[Monitor]\n[Actor]\nExec=/bin/sleep 1000\nUser=65533\nGroup=65533\n')
        self.fails(r'web\.monitor:4: .*runs actors as that user only; remove User=', '--user', '--check')
        self.write('web.monitor', '[Monitor]\n[Actor]\nExec=/bin/sleep 1000\nUser=%d\n' % os.geteuid())
        p = subprocess.run(self.command('--user', '--check'), stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
                           env=ENVIRONMENT)
        self.assertEqual(p.returncode, 0, p.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
