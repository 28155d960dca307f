#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probes where systemd is PID 1: in control groups, of units, in the journal, and over the death of the arbiter."""

import re

import case

UNHEALTHY = 'MESSAGE_ID=32de04431747444a8bf82dc0adc5fc06'
PROBE_READY = 'MESSAGE_ID=5124bfe0d590474e99d370df7ea97750'
UNREADY = 'MESSAGE_ID=508b58cc775a4394925dc79d70c0ead9'
FAST = 'IntervalSec=100ms\nTimeoutSec=20s\nFailureThreshold=2\n'


class Probes(case.Service):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.forget)
        self.run_in('mkdir', '-p', '-m', '0777', '/run/probes')

    def forget(self):
        self.end()
        self.run_in('rm', '-rf', '/run/probes')

    def probe_entry(self, message_id, name, cursor=None):
        return self.entry('_SYSTEMD_UNIT=' + self.UNIT, message_id, 'ARBITER_NAME=' + name, cursor=cursor)

    def wait_file(self, path):
        self.box.wait_for(lambda: self.run_in('test', '-s', path, check=False).returncode == 0, path)
        return self.out('cat', path).strip()

    def script(self, name, text):
        self.write('/usr/local/bin/' + name, '#!/bin/sh\n' + text, 0o755)
        return '/usr/local/bin/' + name

    def kill_arbiter(self):
        cursor = self.box.cursor()
        self.crash()
        self.entry('_SYSTEMD_UNIT=' + self.UNIT, case.TAKEN_OVER, cursor=cursor)
        return cursor

    def test_cgroup(self):
        """A program of a probe is in a leaf of its own, with all that it starts, and nothing is left of it."""
        probe = self.script('probe', 'grep ^0:: /proc/self/cgroup >/run/probes/cgroup\nsetsid sleep 1000 &\nsleep 1000\n')
        self.monitor('nap', 'Exec=/bin/sleep 1000\n[LivenessProbe]\nProbeExec=%s\nIntervalSec=100ms\nTimeoutSec=1s\nFailureThreshold=1\n'
                     % probe)
        self.start()
        pid = self.running('nap.1')
        own, probes = self.cgroup(pid), re.sub('^0::', '', self.wait_file('/run/probes/cgroup'))
        self.assertNotEqual(own, probes)
        self.assertEqual(own.rsplit('/', 1)[0], probes.rsplit('/', 1)[0])
        self.assertRegex(probes, r'/nap\.1\.\w+$')
        entry = self.probe_entry(UNHEALTHY, 'nap.1')
        self.assertEqual((entry['PRIORITY'], entry['ARBITER_FAILURES'], entry['ARBITER_EVENT']), ('4', '1', 'unhealthy'))
        self.assertIn('no answer within 1 s', entry['ARBITER_TEXT'])
        self.run_in('rm', self.ETC + '/nap.monitor')
        self.ctl('daemon-reload')
        self.box.wait_for(lambda: self.workers() == [], 'the end of all of it')
        self.assertNotIn('nap', ' '.join(self.cgroups(self.box.property(self.SCOPE, 'ControlGroup'), check=False)))
        self.assertIn('is unhealthy', self.out('journalctl', '-x', UNHEALTHY))

    def test_unit(self):
        """Of units, by a program as their user and by a connection into them."""
        probe = self.script('probe', 'echo $(id -un) $MAINPID >/run/probes/$1.new\nmv /run/probes/$1.new /run/probes/$1\n'
                            'test ! -e /run/probes/ill\n')
        self.monitor('server', 'Concurrency=unit\nExec=/usr/bin/python3 -m http.server --bind 127.0.0.1 808%%i\n'
                     '[StartProbe]\nProbeTcp=808%%i\nIntervalSec=100ms\n[ReadinessProbe]\nProbeHttp=127.0.0.1:808%%i/\n%s'
                     '[LivenessProbe]\nProbeExec=%s %%i\n%s' % (FAST, probe, FAST), 'Workers=2\nBackoffMinSec=1ms\n')
        self.start()
        for i in 1, 2:
            entry = self.probe_entry(PROBE_READY, 'server.%d' % i)
            self.assertIn('status 200', entry['ARBITER_TEXT'])
            pid = self.actors()['server.%d' % i]['pid']
            self.assertEqual(self.wait_file('/run/probes/%d' % i), 'nobody %d' % pid)
            self.assertIn('arbiter-system-server-%d.service' % i, self.cgroup(pid))
        cursor = self.box.cursor()
        self.write('/run/probes/ill', 'x')
        for i in 1, 2:
            self.probe_entry(UNHEALTHY, 'server.%d' % i, cursor)
        self.run_in('rm', '/run/probes/ill')
        self.ctl('wait', 'server', 'running', '--timeout=20s')
        self.assertIn('unhealthy', self.ctl('deaths', 'server').stdout)

    def test_readiness_stays(self):
        """Who was ready is so to the next arbiter, and who was not is not; and they are asked again."""
        probe = self.script('probe', 'echo >>/run/probes/asked.$1\ntest -e /run/probes/good.$1\n')
        self.write('/run/probes/good.1', 'x')
        self.monitor('nap', 'Exec=/bin/sleep 1000\n[ReadinessProbe]\nProbeExec=%s %%i\n%s' % (probe, FAST), 'Workers=2\n')
        self.start()
        self.probe_entry(PROBE_READY, 'nap.1')
        self.probe_entry(UNREADY, 'nap.2')
        before = {n: (a['aid'], a['pid']) for n, a in self.actors().items()}
        # From here on nobody answers, so that what is known is what was known.
        self.script('probe', 'echo >>/run/probes/again.$1\nsleep 1000\n')
        cursor = self.kill_arbiter()
        for i, ready in (1, 'true'), (2, 'false'):
            self.wait_file('/run/probes/again.%d' % i)
            self.assertIn('\nReady=%s\n' % ready, self.ctl('show', 'nap.%d' % i).stdout)
        self.assertEqual({n: (a['aid'], a['pid']) for n, a in self.actors().items()}, before)
        # what the dead arbiter has asked, and what this one does, is all that runs beside them
        self.script('probe', 'test -e /run/probes/good.$1\n')
        self.write('/run/probes/good.2', 'x')
        self.kill_arbiter()
        self.probe_entry(PROBE_READY, 'nap.2', cursor)
        self.box.wait_for(lambda: len([p for p in self.workers() if self.out('cat', '/proc/%d/comm' % p, check=False).strip()
                                       == 'sleep']) == 2, 'the end of the programs that hung')
        self.assertEqual({n: (a['aid'], a['pid']) for n, a in self.actors().items()}, before)

    def test_start_goes_on(self):
        """A start probe that has not passed yet is asked by the next arbiter: READY=1 was said to the one before."""
        probe = self.script('probe', 'echo >>/run/probes/asked.$1\ntest -e /run/probes/good\n')
        notify = self.script('ready', 'systemd-notify --ready\nexec sleep 1000\n')
        text = '[StartProbe]\nProbeExec=%s %%N\nIntervalSec=100ms\nFailureThreshold=1000000\n' % probe
        self.monitor('quick', 'Exec=/bin/sleep 1000\n' + text)
        self.monitor('slow', 'Type=notify\nExec=%s\n%s' % (notify, text))
        self.squares('Concurrency=process\n' + text, 'Workers=1\n')
        self.run_in('systemctl', 'start', '--no-block', self.UNIT)
        names = 'quick', 'slow', 'squares'
        for name in names:
            self.wait_file('/run/probes/asked.' + name)
        before = {n: a['pid'] for n, a in self.actors().items()}
        self.assertEqual({a['state'] for a in self.actors().values()}, {'starting'})
        self.box.kill(self.pid(), 9)
        cursor = self.cursor
        self.entry('_SYSTEMD_UNIT=' + self.UNIT, case.TAKEN_OVER, cursor=cursor)
        self.run_in('rm', *['/run/probes/asked.' + n for n in names])
        for name in names:
            self.wait_file('/run/probes/asked.' + name)
        self.assertEqual({a['state'] for a in self.actors().values()}, {'starting'})
        self.write('/run/probes/good', 'x')
        for name in names:
            self.running(name + '.1', cursor)
        self.assertEqual({n: a['pid'] for n, a in self.actors().items()}, before)


if __name__ == '__main__':
    case.main()
