#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers that die, fall silent, or never start: what systemctl, journalctl and arbiterctl say of it."""

import json
import re

import case


# data/arbiter.catalog: a contract.
STARTED, REPLACED = '21a1e6b4351f49f681adadf0e0fd4f80', 'cbfa90b1ec90497ea3cc77fa0f0cf51c'
ENDED, SILENT = '2890682cf3d343899a3d4661dad5ed22', '89700af476cc40e1b22c44a62002fea9'
BACKOFF, GIVEN_UP = '27a3cfaba62948909d35582523f8b4ba', '30d7cbeb88ca483ea3260c850120656a'
GAVE_UP, SCALED = '861c4f06be4242f28a571f6c27fbaf9d', 'c8f1df453ff246b1b70c486e50b83954'
RELOADED, REFUSED = '630279fd8e694c58a9016b4d0a5a98ac', '960e994eb2ff447ea94f11e21c380817'


class Deaths(case.Service):
    def event(self, message_id, *matches, cursor=None, **expected):
        """The entry of an event, with its fields; and journalctl -x explains it."""
        matches = ['MESSAGE_ID=' + message_id, *matches]
        entry = self.entry(*matches, cursor=cursor)
        self.assertEqual({k: entry.get(k) for k in expected}, expected, entry)
        text = self.out('journalctl', '--quiet', '-x', '--no-hostname', '--cursor=' + entry['__CURSOR'], '--lines=1')
        self.assertRegex(text, r'(?m)^\S+ Subject: ')
        self.assertRegex(text, r'(?m)^\S+ Defined-By: arbiter$')
        self.assertRegex(text, r'(?m)^\S+ Documentation: man:arbiter')
        self.assertGreater(len(text.splitlines()), 6)
        self.assertNotIn('@', text)
        return entry

    def test_killed(self):
        """Both the death and the next life have their entries."""
        self.nap()
        self.start()
        old = self.actors()['nap.1']
        cursor = self.box.cursor()
        self.box.kill(old['pid'], 9)
        self.running('nap.1', cursor)
        self.event(ENDED, 'ARBITER_AID=' + old['aid'], cursor=cursor, ARBITER_NAME='nap.1', ARBITER_MONITOR='nap',
                   ARBITER_REASON='signal', ARBITER_STATUS='9', PRIORITY='4')
        new = self.actors()['nap.1']
        self.assertNotEqual(new['aid'], old['aid'])
        self.event(REPLACED, 'ARBITER_AID=' + new['aid'], cursor=cursor, ARBITER_NAME='nap.1', ARBITER_MONITOR='nap')

    def test_silent(self):
        """It says nothing any more: it is asked, told, killed, and replaced."""
        self.squares('TimeoutSec=1s\nTimeoutStopSec=1s\n', 'Workers=1\n')
        self.start()
        old = self.actors()['squares.1']
        cursor = self.box.cursor()
        self.box.kill(old['pid'], 19)
        self.event(SILENT, cursor=cursor, ARBITER_NAME='squares.1', ARBITER_AID=old['aid'], ARBITER_MONITOR='squares')
        self.event(ENDED, cursor=cursor, ARBITER_NAME='squares.1', ARBITER_AID=old['aid'], ARBITER_REASON='silent')
        self.event(REPLACED, cursor=cursor, ARBITER_NAME='squares.1')
        self.assertEqual(len(self.workers()), 1)
        self.assertIn('81', self.ctl('send', 'squares.1', 'square', 'x', '9').stdout)

    def test_gives_up(self):
        """Each attempt fails; after the last one that is allowed, all that one can ask says so."""
        self.monitor('broken', 'Type=notify\nExec=/bin/false\n',
                     'RestartIntensity=3\nRestartPeriodSec=1min\nBackoffMinSec=50ms\nBackoffFactor=1\n')
        self.nap()
        self.start()
        self.event(GIVEN_UP, ARBITER_NAME='broken.1', ARBITER_MONITOR='broken')
        self.event(GAVE_UP, ARBITER_MONITOR='broken')
        self.assertEqual(self.monitors()['broken']['state'], 'failed')
        self.assertRegex(self.ctl('status', check=False).stdout, r'broken.*failed')
        # It is told at most once a second.
        line = self.box.wait_for(lambda: re.search('.*broken.*given up, .*exited with status 1.*', self.property('StatusText')), 'the failure in STATUS=').group()
        self.assertIn(line, self.out('systemctl', 'status', self.UNIT))
        # The others serve, and the service is what it says.
        self.assertEqual(self.property('ActiveState'), 'active')
        self.assertEqual([n for n, a in self.actors().items() if a['state'] == 'running'], ['nap.1', 'nap.2'])
        why = self.ctl('why', 'broken', check=False)
        self.assertRegex(why.stdout, r'(?i)fail')

    def test_backs_off(self):
        """While it waits for the next attempt, it says how long."""
        self.monitor('broken', 'Type=notify\nExec=/bin/false\n', 'RestartIntensity=100\nBackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.start()
        waits = self.event(BACKOFF, ARBITER_NAME='broken.1', ARBITER_MONITOR='broken')
        self.assertRegex(waits['MESSAGE'], r'broken\.1 is started again in (1h |\d+min )')
        self.assertRegex(self.ctl('status', check=False).stdout, r'broken.*waiting')
        self.assertRegex(self.ctl('why', 'broken.1', check=False).stdout, r'broken\.1 waits .* before its next start')

    def test_output(self):
        """What a worker says is its own stream, with its priority."""
        self.monitor('say', "Exec=/bin/sh -c 'echo plain; echo \"<3>bad\" >&2; exec sleep 1000'\n")
        self.start()
        for text, priority in ('plain', '6'), ('bad', '3'):
            entry = self.entry('ARBITER_NAME=say.1', predicate=lambda e, t=text: e['MESSAGE'] == t)
            self.assertEqual((entry['PRIORITY'], entry['SYSLOG_IDENTIFIER'], entry['ARBITER_MONITOR']), (priority, 'say.1', 'say'))
        self.assertIn('plain', self.ctl('log', 'say').stdout)

    def test_same_by_journalctl(self):
        self.nap()
        self.start()
        cursor = self.box.cursor()
        self.box.kill(self.actors()['nap.2']['pid'], 9)
        self.running('nap.2', cursor)
        ours = [e['MESSAGE'] for e in self.box.entries(cursor, 'ARBITER_MONITOR=nap')]
        self.assertGreaterEqual(len(ours), 2)
        log = self.ctl('log', 'nap').stdout
        for message in ours:
            self.assertIn(message, log)


    def test_configuration(self):
        """Scaled, reloaded, and refused."""
        self.nap()
        self.start()
        self.ctl('scale', 'nap', '3')
        self.event(SCALED, ARBITER_MONITOR='nap')
        self.monitor('bad', 'Exec=/bin/sleep 1000\nRestart=sometimes\n')
        self.run_in('systemctl', 'reload', self.UNIT, check=False)
        refused = self.event(REFUSED)
        self.assertIn('bad.monitor', refused['ARBITER_FILE'])
        self.run_in('rm', self.ETC + '/bad.monitor')
        cursor = self.box.cursor()
        self.run_in('systemctl', 'reload', self.UNIT)
        self.event(RELOADED, cursor=cursor)


class Tools(case.Service):
    def test_top_and_show(self):
        self.nap()
        self.start()
        shown = self.ctl('show', 'nap.1').stdout
        self.assertRegex(shown, r'(?m)^State=running$')
        deaths = json.loads(self.ctl('deaths', '--json=short').stdout or '[]')
        self.assertEqual(deaths, [])
        cursor = self.box.cursor()
        self.box.kill(self.actors()['nap.1']['pid'], 9)
        self.running('nap.1', cursor)
        self.ctl('wait', 'nap.1', 'running')
        self.assertRegex(self.ctl('deaths').stdout, r'nap\.1 .*signal')


if __name__ == '__main__':
    case.main()
