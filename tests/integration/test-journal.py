#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the journal of a booted system has of arbiter.service and its actors: entries with fields, their explanations, lines
of workers with the worker's own credentials; over restarts of journald, and while it stands still."""

import json

import case

ETC = '/etc/arbiter'
UNIT = 'arbiter.service'
SCOPE = 'arbiter-system-actors.scope'
TALK = '''import os, sys
print("out of", os.getpid(), flush=True)
print("<3>err of", os.getpid(), file=sys.stderr, flush=True)
while True:
    for line in open(sys.argv[1]):
        print(line, end="", flush=True)
'''


class Journal(case.Case):
    def setUp(self):
        super().setUp()
        self.write('/usr/local/bin/talk.py', TALK)
        self.run_in('sh', '-c', 'rm -f %s/*; rm -f /tmp/talk; mkfifo -m 666 /tmp/talk' % ETC)
        self.write(ETC + '/web.monitor', '[Monitor]\nWorkers=1\nRestartIntensity=2\nBackoffMinSec=10ms\nBackoffMaxSec=20ms\n[Actor]\n'
                   'User=nobody\nExec=/usr/bin/python3 /usr/local/bin/talk.py /tmp/talk\n')
        self.addCleanup(self.run_in, 'systemctl', 'stop', UNIT)
        self.run_in('journalctl', '--update-catalog')  # as Debian's packages have it done
        self.run_in('systemctl', 'start', UNIT)
        self.started = self.event('started', 'ARBITER_NAME=web.1')

    def event(self, event, *matches, cursor=None):
        return self.box.wait_for_entry(cursor or self.cursor, 'ARBITER_EVENT=' + event, *matches)

    def line(self, text, *matches, cursor=None):
        return self.box.wait_for_entry(cursor or self.cursor, 'SYSLOG_IDENTIFIER=web.1', *matches,
                                       predicate=lambda e: e['MESSAGE'] == text)

    def say(self, text):
        self.run_in('sh', '-c', 'echo "%s" >/tmp/talk' % text)

    def test_fields(self):
        pid = self.started['ARBITER_PID']
        self.assertEqual((self.started['_SYSTEMD_UNIT'], self.started['SYSLOG_IDENTIFIER'], self.started['ARBITER_INSTANCE'],
                          self.started['ARBITER_MONITOR']), (UNIT, 'arbiterd', 'system', 'web'))
        for e, priority in ((self.line('out of ' + pid), '6'), (self.line('err of ' + pid), '3')):
            self.assertEqual((e['PRIORITY'], e['_PID'], e['_UID'], e['_SYSTEMD_UNIT']), (priority, pid, '65534', SCOPE))
            self.assertTrue(e['_CMDLINE'].endswith('/talk.py /tmp/talk'))
            for field in 'ARBITER_INSTANCE', 'ARBITER_AID', 'ARBITER_NAME', 'ARBITER_MONITOR', 'ARBITER_GENERATION', 'ARBITER_PID':
                self.assertEqual(e[field], self.started[field])

    def test_one_query(self):
        """What the workers say and what happens to them, by one field; with explanations."""
        pid = int(self.started['ARBITER_PID'])
        self.line('out of %d' % pid)
        cursor = self.box.cursor()
        self.box.kill(pid, 9)
        replaced = self.event('replaced', cursor=cursor)
        self.line('out of ' + replaced['ARBITER_PID'], cursor=cursor)
        entries = [json.loads(e) for e in self.out('journalctl', '--after-cursor=' + cursor, 'ARBITER_MONITOR=web', '-o',
                                                   'json').splitlines()]
        self.assertEqual({e['SYSLOG_IDENTIFIER'] for e in entries}, {'arbiterd', 'web.1'})
        died, = [e for e in entries if e.get('ARBITER_EVENT') == 'died']
        self.assertEqual((died['ARBITER_REASON'], died['ARBITER_STATUS'], died['ARBITER_PID']), ('signal', '9', str(pid)))
        text = self.out('journalctl', '--after-cursor=' + cursor, '-x', 'ARBITER_MONITOR=web')
        self.assertIn('Subject: Actor web.1 has ended', text)
        self.assertIn('Subject: Actor web.1 has been replaced', text)
        self.assertIn('runs again, as life number 2 of', text)
        self.assertIn('arbiterctl deaths web.1', text)

    def test_gives_up(self):
        self.write(ETC + '/bad.monitor', '[Monitor]\nRestartIntensity=1\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n[Actor]\nUser=root\n'
                   'Exec=/bin/sh -c "echo my last words; exit 7"\n')
        self.write(ETC + '/wrong.actor', '[Actor]\nNice=x\n')
        self.run_in('systemctl', 'reload', UNIT, check=False)
        refused = self.event('configuration-refused')
        self.assertEqual(refused['ARBITER_FILE'], ETC + '/wrong.actor')
        self.event('gave-up', 'ARBITER_MONITOR=bad')
        self.event('reloaded')
        text = self.out('journalctl', '--after-cursor=' + self.cursor, '-x')
        for subject in ('Actor bad.1 is given up', 'Monitor bad has given up', 'The configuration of the arbiter has been reloaded',
                        'The configuration file %s has been refused' % refused['ARBITER_FILE']):
            self.assertIn('Subject: ' + subject, text)
        self.assertIn('my last words', text)
        self.assertNotIn('@ARBITER_', text)

    def test_journald_restarts(self):
        self.say('before')
        self.line('before')
        for _ in range(3):
            self.run_in('systemctl', 'restart', 'systemd-journald.service')
            for i in range(20):
                self.say('line %d' % i)
        self.say('after')
        self.line('after')
        lines = [e['MESSAGE'] for e in self.box.entries(self.cursor, 'SYSLOG_IDENTIFIER=web.1')]
        self.assertEqual(lines[lines.index('before'):], ['before'] + ['line %d' % i for i in range(20)] * 3 + ['after'])

    def test_journald_stands_still(self):
        """The arbiter does not; nor does who asks it."""
        pid = int(self.out('systemctl', 'show', '--value', '-p', 'MainPID', 'systemd-journald.service'))
        self.box.kill(pid, 19)
        try:
            for n in range(30):
                self.ctl('restart', 'web')
            self.assertEqual(self.actors()['web.1']['state'], 'running')
        finally:
            self.box.kill(pid, 18)
        self.event('replaced', 'ARBITER_GENERATION=31')

    def test_logger_dies(self):
        logger = self.out('pgrep', '-x', 'arbiter-logger').split()
        path = self.box.property(SCOPE, 'ControlGroup')
        loggers = [p for p in logger if self.out('readlink', '/proc/%s/exe' % p).strip().endswith('/arbiter-logger')]
        self.assertEqual(len(loggers), 1)
        self.assertIn('0::%s/arbiter-logger\n' % path, self.out('cat', '/proc/%s/cgroup' % loggers[0]))
        self.box.kill(int(loggers[0]), 9)
        self.say('and still')
        e = self.line('and still')
        self.assertEqual(e['_PID'], self.started['ARBITER_PID'])
        new = [p for p in self.out('pgrep', '-x', 'arbiter-logger').split()
               if self.out('readlink', '/proc/%s/exe' % p).strip().endswith('/arbiter-logger')]
        self.assertNotEqual(new, loggers)
        self.assertIn('0::%s/arbiter-logger\n' % path, self.out('cat', '/proc/%s/cgroup' % new[0]))

    def test_level(self):
        self.run_in('systemctl', 'service-log-level', UNIT, 'debug')
        self.assertEqual(self.out('systemctl', 'service-log-level', UNIT), 'debug\n')
        self.assertEqual(self.out('systemctl', 'service-log-target', UNIT), 'journal\n')

    def test_user(self):
        """Without privileges: the same, but for the credentials."""
        self.write('/home/alice/.config/arbiter/mine.actor', '[Actor]\nExec=/bin/sh -c "echo it is mine; exec sleep 1000"\n',
                   owner='alice')
        self.run_in('systemctl', '--user', 'start', UNIT, user='alice')
        self.addCleanup(self.run_in, 'systemctl', '--user', 'stop', UNIT, user='alice')
        e = self.box.wait_for_entry(self.cursor, 'SYSLOG_IDENTIFIER=mine')
        self.assertEqual((e['MESSAGE'], e['ARBITER_NAME'], e['ARBITER_INSTANCE'], e['_UID']), ('it is mine', 'mine', 'user', '2000'))
        self.assertEqual(e['_SYSTEMD_USER_UNIT'], 'arbiter-user-actors.scope')


if __name__ == '__main__':
    case.main()
