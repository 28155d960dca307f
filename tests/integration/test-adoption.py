#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The arbiter dies, is restarted, or is replaced by its program on disk, and nobody else notices."""

import json
import os
import re
import signal
import threading

import case

LEFT = 'MESSAGE_ID=68741f29aac74327acff2afcb042a128'
PROGRAM = '/usr/bin/arbiterd'


class Adoption(case.Service):
    def setUp(self):
        super().setUp()
        self.drop_ins = False
        self.addCleanup(self.restore)

    def restore(self):
        self.end()
        if self.drop_ins:
            self.run_in('rm', '-rf', '/run/systemd/system/arbiter.service.d')
            self.run_in('systemctl', 'daemon-reload')
            self.run_in('systemctl', 'reset-failed')

    def set_up_service(self, text, unit=''):
        self.drop_ins = True
        self.write('/run/systemd/system/arbiter.service.d/test.conf', '[Unit]\n%s[Service]\n%s' % (unit, text))
        self.run_in('systemctl', 'daemon-reload')

    def lives(self):
        """What must stay as it is."""
        return {name: (a['aid'], a['pid'], a['state']) for name, a in self.actors().items()}

    def settle(self, *names):
        for name in names:
            self.ctl('wait', name, 'running', '--timeout=20s')
        return self.lives()

    def leaves(self):
        return [c for c in self.cgroups(self.box.property(self.SCOPE, 'ControlGroup')) if c != 'arbiter-logger']

    def fds(self, pid=None):
        return len(self.out('ls', '/proc/%d/fd' % (pid or self.pid())).split())

    def ends(self):
        """Nothing runs on unsupervised."""
        self.box.wait_for(lambda: self.workers() == [], 'the end of the workers')
        self.keeper_ends()
        self.assertEqual(self.box.property(self.SCOPE, 'ActiveState'), 'inactive')


class Death(Adoption):
    def check(self, before):
        """All is as it was: processes, aids, names; they answer; what they start from is the same."""
        self.assertEqual(self.lives(), before)
        self.assertEqual(self.workers(), sorted(pid for _, pid, _ in before.values()))
        self.assertEqual(len(self.leaves()), len(before))
        self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', '7').stdout.strip(), 'x 49')
        listed = json.loads(self.out('busctl', '--json=short', 'call', 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1',
                                     'io.arbiter.Arbiter1.Manager', 'ListActors'))
        self.assertEqual(sorted(a[0] for a in listed['data'][0]), sorted(aid for aid, _, _ in before.values()))

    def begin(self):
        self.nap()
        self.squares()
        self.start()
        return self.settle('nap', 'squares')

    def test_killed(self):
        before = self.begin()
        for _ in range(3):
            cursor = self.box.cursor()
            self.crash()
            taken = self.entry('_SYSTEMD_UNIT=' + self.UNIT, case.TAKEN_OVER, cursor=cursor)
            self.assertEqual(taken['ARBITER_ACTORS'], '4')
            self.check(before)
        status = json.loads(self.ctl('--json=short', 'status').stdout)
        self.assertEqual([o['takeovers'] for o in status if o['kind'] == 'arbiter'], [3])
        self.assertRegex(self.ctl('status').stdout, r'Takeovers: 3')
        # They are supervised as ever.
        cursor = self.box.cursor()
        self.box.kill(before['nap.1'][1], 9)
        pid = self.running('nap.1', cursor)
        after = self.settle('nap')
        self.assertEqual(after['nap.1'][1], pid)
        self.assertEqual({n: after[n] for n in after if n != 'nap.1'}, {n: before[n] for n in before if n != 'nap.1'})
        self.assertEqual(self.monitors()['nap']['restarts'], 1)

    def test_killed_while_it_forks(self):
        """The child has all of its descriptors until it has executed its program, and that may take a while."""
        before = self.begin()
        tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.box.copy(os.path.join(tests, 'functional/descriptors.py'), '/run/test/descriptors.py')
        child = self.box.popen(['/usr/bin/python3', '/run/test/descriptors.py', str(self.pid())], stdin=-1)
        child.expect('taken')
        self.crash()
        self.assertEqual(self.lives(), before)
        child.end_input()  # with it ends the dead one's connection to the bus
        self.assertEqual(child.wait()[0], 0)
        self.check(before)

    def test_wedged(self):
        self.set_up_service('WatchdogSec=1s\n')
        before = self.begin()
        self.crash(19)
        self.check(before)

    def test_restart(self):
        before = self.begin()
        for _ in range(2):
            pid, cursor = self.pid(), self.box.cursor()
            self.run_in('systemctl', 'restart', self.UNIT)
            self.assertNotEqual(self.pid(), pid)
            self.assertEqual(self.entry('_SYSTEMD_UNIT=' + self.UNIT, LEFT, cursor=cursor)['ARBITER_ACTORS'], '4')
            self.check(before)
        self.run_in('systemctl', 'try-restart', self.UNIT)
        self.check(before)

    def test_somebody_sleeps(self):
        """An actor that is stopped (SIGSTOP) holds up neither the arbiter nor the others, and goes on when it wakes up."""
        before = self.begin()
        pid = before['squares.1'][1]
        self.box.kill(pid, 19)
        self.addCleanup(self.box.run, ['kill', '-CONT', str(pid)], check=False)
        self.run_in('systemctl', 'restart', self.UNIT)
        self.assertEqual(self.lives(), before)
        self.assertEqual(self.ctl('send', 'squares.2', 'square', 'x', '7').stdout.strip(), 'x 49')
        self.assertIn('did not answer in time', self.ctl('send', 'squares.1', 'square', 'x', '7', check=1).stderr)
        self.box.kill(pid, 18)
        self.box.wait_for(lambda: self.ctl('send', 'squares.1', 'square', 'x', '7', check=False).stdout.strip() == 'x 49', 'its answer')
        self.check(before)

    def test_no_bus_is_needed(self):
        self.set_up_service('Environment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent\n')
        self.nap()
        self.start()
        before = self.settle('nap')
        self.crash()
        self.assertEqual(self.lives(), before)
        self.run_in('systemctl', 'restart', self.UNIT)
        self.assertEqual(self.lives(), before)

    def test_output_goes_on(self):
        """Every line, with its fields, whoever dies."""
        self.monitor('count', "Exec=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done'\n")
        self.start()
        aid, pid, _ = self.settle('count')['count.1']

        def lines():
            entries = self.box.entries(self.cursor, 'ARBITER_AID=' + aid, '_TRANSPORT=journal')
            return [int(e['MESSAGE'].split()[1]) for e in entries if e.get('MESSAGE', '').startswith('line ')]

        self.crash()
        self.run_in('systemctl', 'restart', self.UNIT)
        # The logger has died as well: another one is started, and is told of what goes on.
        logger = int(self.out('pgrep', '-x', 'arbiter-logger'))
        cursor = self.box.cursor()
        self.box.kill(logger, 9)
        entry = self.entry('ARBITER_AID=' + aid, '_TRANSPORT=journal', cursor=cursor)
        self.assertEqual((entry['ARBITER_NAME'], entry['ARBITER_MONITOR'], entry['SYSLOG_IDENTIFIER']),
                         ('count.1', 'count', 'count.1'))
        self.assertNotEqual(int(self.out('pgrep', '-x', 'arbiter-logger')), logger)
        self.assertEqual(self.lives()['count.1'][:2], (aid, pid))
        found = lines()
        # What the logger had read, and not sent, has died with it.
        self.assertEqual(sorted(set(found)), found)
        missing = set(range(1, found[-1] + 1)) - set(found)
        self.assertLess(len(missing), 5, missing)

    def test_both_are_gone(self):
        """arbiter and arbiter-logger: the scope is held by its actors, and has another holder afterwards."""
        before = self.begin()
        invocation = self.box.property(self.SCOPE, 'InvocationID')
        cursor, logger = self.box.cursor(), int(self.out('pgrep', '-x', 'arbiter-logger'))
        self.run_in('sh', '-c', 'kill -KILL %d %d' % (self.pid(), logger))
        self.entry('UNIT=' + self.UNIT, case.UNIT_STARTED, cursor=cursor)
        self.check(before)
        self.assertEqual(self.box.property(self.SCOPE, 'InvocationID'), invocation)
        self.assertNotEqual(int(self.out('pgrep', '-x', 'arbiter-logger')), logger)

    def test_deaths_meanwhile(self):
        """Noticed, and treated as ever, once there is an arbiter again."""
        self.set_up_service('RestartSec=1h\n')
        before = self.begin()
        pid = self.pid()
        self.box.kill(pid, 9)
        self.box.wait_for(lambda: self.property('SubState') == 'auto-restart', 'the wait for the next one')
        self.box.kill(before['nap.2'][1], 9)
        self.box.kill(before['squares.2'][1], 9)
        self.run_in('systemctl', 'restart', self.UNIT)
        after = self.settle('nap', 'squares')
        for name in 'nap.1', 'squares.1':
            self.assertEqual(after[name], before[name])
        for name in 'nap.2', 'squares.2':
            self.assertNotEqual(after[name][:2], before[name][:2])
            deaths = json.loads(self.ctl('--json=short', 'deaths', name).stdout)
            self.assertEqual([d['aid'] for d in deaths], [before[name][0]])
            self.assertIn(deaths[0]['reason'], ('signal', 'unknown'))
        self.assertEqual(self.workers(), sorted(pid for _, pid, _ in after.values()))

    def test_configuration_has_changed(self):
        """It decides what is to run; what has not changed is not touched."""
        self.set_up_service('RestartSec=1h\n')
        self.monitor('gone', 'Exec=/bin/sleep 2000\n')
        self.monitor('other', 'Exec=/bin/sleep 3000\n')
        before = self.begin()
        self.settle('gone', 'other')
        before = self.lives()
        self.box.kill(self.pid(), 9)
        self.box.wait_for(lambda: self.property('SubState') == 'auto-restart', 'the wait for the next one')
        self.run_in('rm', self.ETC + '/gone.monitor')
        self.monitor('other', 'Exec=/bin/sleep 3001\n')
        self.monitor('new', 'Exec=/bin/sleep 4000\n')
        self.nap(3)
        self.run_in('systemctl', 'restart', self.UNIT)
        after = self.settle('nap', 'squares', 'new')
        self.assertEqual({n: after[n] for n in ('nap.1', 'nap.2', 'squares.1', 'squares.2')},
                         {n: before[n] for n in ('nap.1', 'nap.2', 'squares.1', 'squares.2')})
        self.assertIn('nap.3', after)
        self.box.wait_for(lambda: 'gone.1' not in self.actors(), 'the end of what is gone')
        self.box.wait_for(lambda: self.run_in('pgrep', '-x', '-f', '/bin/sleep 3001', check=False).stdout, 'the new worker')
        self.run_in('pgrep', '-x', '-f', '/bin/sleep 2000', check=1)

    def test_stopped_stays_stopped(self):
        """By an operator; scaled stays scaled."""
        self.begin()
        self.ctl('stop', 'nap')
        self.ctl('scale', 'squares', '3')
        before = self.settle('squares')
        self.crash()
        self.assertEqual(self.lives(), before)
        self.assertEqual(self.monitors()['squares']['workers'], 3)
        self.assertNotIn('nap', self.monitors())
        self.ctl('restart', 'nap')
        self.settle('nap')

    def test_spawned(self):
        """What was made by hand goes on, too."""
        self.write(self.ETC + '/lone.actor', '[Actor]\nUser=nobody\nRestart=permanent\nListenStream=/run/lone.socket\n'
                   'Exec=/bin/sh -c "echo sockets: $$LISTEN_FDS; exec sleep 5000"\n')
        self.begin()
        self.ctl('spawn', 'lone', 'more')
        self.ctl('spawn', 'other', '--', '/usr/bin/setpriv', '--reuid=nobody', '--clear-groups', '/bin/sleep', '5000')
        before = self.lives()
        self.assertLessEqual({'lone', 'more', 'other'}, set(before))
        self.crash()
        self.assertEqual(self.lives(), before)
        # One that ends is started again as it was: with its sockets, its user, and a journal stream of its own.
        cursor = self.box.cursor()
        self.box.kill(before['more'][1], 9)
        pid = self.running('more', cursor)
        self.entry('ARBITER_NAME=more', '_TRANSPORT=journal', cursor=cursor, predicate=lambda e: e['MESSAGE'] == 'sockets: 1')
        status = self.out('cat', '/proc/%d/status' % pid)
        self.assertEqual(re.findall(r'(?m)^[UG]id:\t(\d+)', status), ['65534', '65534'])
        # Also without its definition, as after a reload.
        self.run_in('rm', self.ETC + '/lone.actor')
        before = self.lives()
        self.crash()
        self.box.wait_for(lambda: 'lone' not in self.actors(), 'the end of what is not configured')
        self.assertEqual(self.lives(), {name: life for name, life in before.items() if name != 'lone'})

    def test_a_user_s(self):
        alice, etc = {'user': 'alice'}, '/home/alice/.config/arbiter'
        self.run_in('sh', '-ec', 'mkdir -p "$1"; printf "[Monitor]\\nWorkers=2\\n[Actor]\\nExec=/bin/sleep 1000\\n" >"$1/nap.monitor"',
                    'sh', etc, **alice)
        self.addCleanup(self.run_in, 'rm', '-r', etc)
        self.run_in('systemctl', '--user', 'start', self.UNIT, **alice)
        self.addCleanup(self.run_in, 'systemctl', '--user', 'stop', self.UNIT, **alice)
        self.ctl('--user', 'wait', 'nap', 'running', **alice)
        before = {n: (a['aid'], a['pid']) for n, a in self.actors('--user', **alice).items()}
        self.run_in('systemctl', '--user', 'restart', self.UNIT, **alice)
        self.assertEqual({n: (a['aid'], a['pid']) for n, a in self.actors('--user', **alice).items()}, before)
        self.assertIn('2 actors went on', self.ctl('--user', 'daemon-reexec', **alice).stdout)
        self.assertEqual({n: (a['aid'], a['pid']) for n, a in self.actors('--user', **alice).items()}, before)
        self.run_in('systemctl', '--user', 'stop', self.UNIT, **alice)
        self.run_in('pgrep', '-u', 'alice', '-x', 'sleep', check=1)


class End(Adoption):
    def begin(self):
        self.nap()
        self.squares()
        self.start()
        self.settle('nap', 'squares')

    def test_stop(self):
        self.begin()
        self.crash()
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.workers(), [])
        self.ends()
        self.assertEqual(self.property('Result'), 'success')
        # Nothing is found by the next one.
        cursor = self.box.cursor()
        self.start()
        self.assertFalse(self.box.entries(cursor, '_SYSTEMD_UNIT=' + self.UNIT, case.TAKEN_OVER))

    def test_stop_between(self):
        """While systemd waits to start it again."""
        self.set_up_service('RestartSec=1h\n')
        self.begin()
        self.box.kill(self.pid(), 9)
        self.box.wait_for(lambda: self.property('SubState') == 'auto-restart', 'the wait for the next one')
        self.assertEqual(len(self.workers()), 4)
        self.run_in('systemctl', 'stop', self.UNIT)
        self.ends()

    def test_stop_of_a_stopped_one(self):
        """SIGSTOP: systemd wakes it up, and it stops what it has."""
        self.begin()
        self.box.kill(self.pid(), 19)
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.workers(), [])
        self.ends()
        self.assertEqual(self.property('Result'), 'success')

    def test_stop_of_a_deaf_one(self):
        """It does not come to stop them before systemd has no more patience: all is gone when the command returns."""
        self.set_up_service('TimeoutStopSec=1s\nExecStop=/bin/sh -c "kill -STOP $MAINPID; sleep 100"\n')
        self.begin()
        self.run_in('systemctl', 'stop', self.UNIT, check=False)
        self.assertEqual(self.workers(), [])
        self.ends()
        self.run_in('systemctl', 'reset-failed', self.UNIT)

    def test_sigterm_of_somebody(self):
        """No job of systemd's: it was meant to end."""
        self.begin()
        self.box.kill(self.pid(), 15)
        self.ends()
        self.assertEqual((self.property('ActiveState'), self.property('Result')), ('inactive', 'success'))

    def test_restart_always(self):
        """Then the same signal is a restart."""
        self.set_up_service('Restart=always\n')
        self.begin()
        before = self.lives()
        self.crash(15)
        self.assertEqual(self.lives(), before)

    def test_start_limit(self):
        self.set_up_service('', unit='StartLimitBurst=2\nStartLimitIntervalSec=1h\n')
        self.begin()
        self.crash()
        self.box.kill(self.pid(), 9)
        self.box.wait_for(lambda: self.property('ActiveState') == 'failed', 'the end of the service')
        self.ends()
        self.run_in('systemctl', 'reset-failed', self.UNIT)

    def test_slice(self):
        """All at once: nobody is left, and those who come are new."""
        self.begin()
        before, cursor = self.workers(), self.box.cursor()
        self.run_in('systemctl', 'kill', '--signal=KILL', 'arbiter.slice')
        self.entry('UNIT=' + self.UNIT, case.UNIT_STARTED, cursor=cursor)
        self.settle('nap', 'squares')
        self.assertFalse(set(before) & set(self.workers()))
        self.run_in('systemctl', 'stop', 'arbiter.slice')
        self.assertEqual(self.workers(), [])


class Reexec(Adoption):
    def flow(self):
        self.box.copy(os.path.join(self.box.build, 'tests/integration/flow.so'), '/usr/local/lib/flow.so', 0o755)
        for name, params in ('flow', 'Params=target=sink\n'), ('sink', ''):
            self.write('%s/%s.actor' % (self.ETC, name),
                       '[Actor]\nUser=nobody\nModule=/usr/local/lib/flow.so\n%s' % params)

    def test_fifty_times(self):
        """Under load: casts and requests between two actors, calls by the socket and the bus. None is lost, of actors; of the
        others each has an outcome."""
        self.flow()
        self.squares()
        self.nap()
        self.start()
        before = self.settle('flow', 'sink', 'squares', 'nap')
        pid, failures, over = self.pid(), [], threading.Event()

        def call():
            while not over.is_set():
                p = self.box.run(['arbiterctl', 'send', 'squares.1', 'square', 'x', '3'], check=False)
                if p.returncode != 0 and not re.search('closed the connection|No arbiter|ends, or is replaced', p.stderr):
                    failures.append((p.returncode, p.stdout, p.stderr))

        self.begin_calls('squares.1', 'squares.2')
        caller = threading.Thread(target=call)
        caller.start()
        try:
            fds = None
            for _ in range(50):
                self.assertIn('6 actors went on', self.ctl('daemon-reexec').stdout)
                fds = fds or self.fds()
        finally:
            over.set()
            caller.join()
        self.assertEqual(failures, [])
        self.end_calls(1)
        self.assertEqual(self.pid(), pid)
        self.assertEqual(self.property('NRestarts'), '0')
        self.assertEqual(self.lives(), before)
        self.assertLessEqual(self.fds(), fds + 4)
        self.ctl('send', 'flow', 'stop_sending')
        self.box.wait_for(lambda: self.report('sink')['got'] == self.report('flow')['sent'], 'the last message')
        sender, sink = self.report('flow'), self.report('sink')
        self.assertEqual(sink['gaps'], 0)
        self.box.wait_for(lambda: (lambda r: r['answered'] + r['failed'] == r['asked'])(self.report('flow')), 'the last answer')
        self.assertEqual(sender['failed'], 0, sender)
        self.assertGreater(sender['sent'], 1000)

    def test_the_program_on_disk(self):
        """It is the one that runs afterwards, with the same arguments, and a soft limit that is as it was for actors."""
        self.nap()
        self.start()
        before, pid = self.settle('nap'), self.pid()
        inode = self.out('stat', '-L', '-c', '%i', '/proc/%d/exe' % pid)
        arguments = self.out('cat', '/proc/%d/cmdline' % pid)
        self.run_in('sh', '-ec', 'cp %s /usr/bin/new; mv /usr/bin/new %s' % (PROGRAM, PROGRAM))
        self.ctl('daemon-reexec')
        self.assertNotEqual(self.out('stat', '-L', '-c', '%i', '/proc/%d/exe' % pid), inode)
        self.assertEqual(self.out('cat', '/proc/%d/cmdline' % pid), arguments)
        self.assertEqual(self.lives(), before)
        self.ctl('restart', 'nap')
        worker = self.settle('nap')['nap.1'][1]
        self.assertRegex(self.out('cat', '/proc/%d/limits' % worker), r'Max open files +1024 ')
        self.assertEqual(self.out('systemctl', 'show', '-p', 'ActiveState,SubState', '--value', self.UNIT).split(), ['active', 'running'])

    def test_exit_codes(self):
        """Children stay children: how they end is known."""
        self.monitor('brief', "Exec=/bin/sh -c 'while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 7'\nRestart=temporary\n")
        self.addCleanup(self.run_in, 'rm', '-f', '/tmp/end')
        self.start()
        self.settle('brief')
        self.ctl('daemon-reexec')
        self.write('/tmp/end', '')
        self.box.wait_for(lambda: json.loads(self.ctl('--json=short', 'deaths', 'brief').stdout), 'its end')
        death, = json.loads(self.ctl('--json=short', 'deaths', 'brief').stdout)
        self.assertEqual((death['reason'], death['status']), ('exit-code', 7))
        self.run_in('pgrep', '-x', '-P', str(self.pid()), 'sh', check=1)  # no zombie either

    def test_terminated_meanwhile(self):
        """While the program on disk is asked whether it can take over, and systemd, what is meant: a stop, as it turns out."""
        self.nap()
        self.start()
        self.settle('nap')
        pid = self.pid()
        self.run_in('mv', PROGRAM, PROGRAM + '.good')
        self.addCleanup(self.run_in, 'mv', PROGRAM + '.good', PROGRAM)
        self.addCleanup(self.run_in, 'rm', '-f', '/tmp/go')
        self.write(PROGRAM, '#!/bin/sh\nwhile [ ! -e /tmp/go ]; do sleep 0.02; done\nexec %s.good "$@"\n' % PROGRAM, mode=0o755)
        reexecution = self.box.popen(['arbiterctl', 'daemon-reexec'])
        self.box.wait_for(lambda: self.run_in('pgrep', '-f', 'arbiterd --check-state', check=False).stdout, 'the question')
        os.kill(self.box.pid, signal.SIGSTOP)
        try:
            self.box.kill(pid, 15)
            self.write('/tmp/go', '')
            self.assertIn('about to end', reexecution.wait()[1])
        finally:
            os.kill(self.box.pid, signal.SIGCONT)
        self.ends()

    def refused(self, pattern):
        pid, before = self.pid(), self.lives()
        self.assertRegex(self.ctl('daemon-reexec', check=1).stderr, pattern)
        self.assertEqual((self.pid(), self.lives()), (pid, before))
        self.entry('_SYSTEMD_UNIT=' + self.UNIT, 'MESSAGE_ID=3c03d22de3ee463dbc6ae5aecf2dbb54')

    def test_refused(self):
        """By a program that cannot take over, or is none: nothing is done."""
        self.nap()
        self.start()
        self.settle('nap')
        self.run_in('mv', PROGRAM, PROGRAM + '.good')
        self.addCleanup(self.run_in, 'mv', PROGRAM + '.good', PROGRAM)
        for text, expected in ('#!/bin/sh\necho "unknown option" >&2\nexit 2\n', 'unknown option'), ('#!/bin/sh\n', 'says nothing'), \
                ("#!/bin/sh\nprintf 'a\\377b\\033c\\n'\n", r'take over: a\?b\?c\.'):
            self.write(PROGRAM, text, mode=0o755)
            self.refused(expected)
        self.write(PROGRAM, 'nonsense')
        self.assertRegex(self.ctl('daemon-reexec', check=1).stderr, 'cannot be tried')
        self.assertIn('nap.1', self.actors())

    def test_no_keeper(self):
        self.nap()
        self.start()
        before = self.settle('nap')
        self.run_in('systemctl', 'stop', self.KEEPER)
        self.keeper_ends()
        self.refused('arbiter-keeper is not there')
        self.run_in('systemctl', 'start', self.KEEPER)
        self.box.wait_for(lambda: self.ctl('daemon-reexec', check=False).returncode == 0, 'the keeper to have all')
        self.assertEqual(self.lives(), before)

    def test_no_room(self):
        """What runs is more than can be written down: it is told, and nobody is risked who is not known."""
        self.write(self.ETC + '/lone.actor', '[Actor]\nUser=nobody\nExec=/bin/sleep 5000\n')
        self.start()
        large = ['%s=%s' % (key, 100000 * 'x') for key in 'abcdefghi']
        self.assertRegex(self.ctl('spawn', 'lone', 'one', *large, *map(str.upper, large), check=1).stderr, 'too long')
        for i in range(40):
            self.ctl('spawn', 'lone', 'lone%d' % i, *large)
        self.refused('Not all that was decided could be written down')
        self.box.wait_for(lambda: 'not all can be written down' in self.property('StatusText'), 'the word of it')

    def test_keeper_hangs(self):
        """It would not give anything back."""
        self.squares()
        self.start()
        self.settle('squares')
        keeper = int(self.box.property(self.KEEPER, 'MainPID'))
        self.box.kill(keeper, 19)
        self.addCleanup(self.box.run, ['kill', '-CONT', str(keeper)], check=False)
        self.refused('arbiter-keeper is not there')
        self.box.kill(keeper, 18)
        self.assertIn('2 actors went on', self.ctl('daemon-reexec').stdout)

    def test_who_may(self):
        self.nap()
        self.start()
        refused = self.ctl('--system', '--no-ask-password', 'daemon-reexec', user='bob', check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, 'io.arbiter.Arbiter1.reexecute|password|not allowed|authenti')


if __name__ == '__main__':
    case.main()
