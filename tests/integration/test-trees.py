#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root of a tree and systemd above it: one that has failed ends arbiter.service with its exit status, systemd starts
that again, and with it the tree; when that is too often, nothing is left that nobody supervises."""

import case

DROP_IN = '/run/systemd/system/arbiter.service.d'
ROOT_GAVE_UP = 'MESSAGE_ID=3f1d726e43ea4213bad004b9efe85575'
ESCALATED = 'MESSAGE_ID=82f7137aee38498dbf51acce66e9a985'


class Trees(case.Service):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)

    def restore(self):
        self.end()
        self.run_in('rm', '-rf', DROP_IN)
        self.run_in('systemctl', 'daemon-reload')
        self.run_in('systemctl', 'reset-failed')

    def limit(self, burst):
        self.write(DROP_IN + '/test.conf', '[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=%d\n' % burst)
        self.run_in('systemctl', 'daemon-reload')

    def tree(self):
        """Beside a pool of two."""
        for name in 'ab':
            self.write('%s/%s.actor' % (self.ETC, name), '[Actor]\nUser=nobody\nExec=/bin/sleep 1000\n')
        self.write(self.ETC + '/tree.monitor', '[Monitor]\nStrategy=one-for-one\nChildren=a.actor b.actor\nRestartIntensity=0\n')
        self.nap()

    def settle(self):
        for name in 'a', 'b', 'nap.1', 'nap.2':
            self.ctl('wait', name, 'running', '--timeout=20s')
        self.assertEqual(self.monitors()['tree']['state'], 'running')
        self.assertEqual(len(self.workers()), 4)
        return self.workers()

    def escalate(self):
        """Where the journal was before."""
        cursor = self.box.cursor()
        self.box.kill(self.actors()['b']['pid'], 9)
        return cursor

    def test_restarted(self):
        """Every time anew, all of it: no life is taken over."""
        self.tree()
        self.start()
        before = self.settle()
        for _ in range(2):
            pid = self.pid()
            cursor = self.escalate()
            self.entry(ROOT_GAVE_UP, cursor=cursor, predicate=lambda e: e['ARBITER_MONITOR'] == 'tree' and e['ARBITER_STATUS'] == '70')
            self.entry('UNIT=' + self.UNIT, cursor=cursor, predicate=lambda e: e.get('EXIT_STATUS') == '70' and e['EXIT_CODE'] == 'exited')
            self.entry('UNIT=' + self.UNIT, case.UNIT_STARTED, cursor=cursor)
            self.assertNotEqual(self.pid(), pid)
            after = self.settle()
            self.assertFalse(set(before) & set(after))
            before = after

    def test_start_limit(self):
        self.limit(2)
        self.tree()
        self.start()
        self.settle()
        cursor = self.escalate()
        self.entry('UNIT=' + self.UNIT, case.UNIT_STARTED, cursor=cursor)
        self.settle()
        self.escalate()
        self.box.wait_for(lambda: self.property('ActiveState') == 'failed', 'the end of the service')
        self.assertEqual(self.property('ExecMainStatus'), '70')
        self.keeper_ends()
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.box.property(self.SCOPE, 'ActiveState'), 'inactive')
        self.run_in('systemctl', 'reset-failed', self.UNIT)
        self.start()
        self.settle()

    def test_start_fails(self):
        """By a reload: the service goes on, and says so, with what ran already."""
        self.nap()
        self.start()
        for name in 'nap.1', 'nap.2':
            self.ctl('wait', name, 'running', '--timeout=20s')
        before, pid = self.workers(), self.pid()
        self.write(self.ETC + '/b.actor', '[Actor]\nUser=nobody\nType=notify\nExec=/bin/false\n')
        self.write(self.ETC + '/tree.monitor', '[Monitor]\nStrategy=one-for-one\nChildren=b.actor\n')
        self.run_in('systemctl', 'reload', self.UNIT)
        self.entry(ESCALATED, predicate=lambda e: e['MESSAGE'].startswith('monitor tree cannot start: b did not. Nothing else'))
        self.box.wait_for(lambda: 'monitor tree: failed' in self.property('StatusText'), 'the failure in STATUS=')
        self.assertEqual(self.monitors()['tree']['state'], 'failed')
        self.assertEqual((self.workers(), self.pid()), (before, pid))


if __name__ == '__main__':
    case.main()
