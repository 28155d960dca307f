#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter on the system bus: busctl, unprivileged users and polkit, a bus that dies."""

import json
import os
import re

import case

NAME, PATH, MANAGER = 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1', 'io.arbiter.Arbiter1.Manager'
LOG, LOG_CONTROL = '/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1'


class Bus(case.Service):
    def setUp(self):
        super().setUp()
        self.nap()
        self.squares()
        self.start()

    def busctl(self, *argv, **options):
        return self.run_in('busctl', *argv, **options)

    def call(self, method, *argv, path=PATH, interface=MANAGER, **options):
        out = self.busctl('--json=short', 'call', NAME, path, interface, method, *argv, **options).stdout
        return json.loads(out)['data'] if out else None


class Tools(Bus):
    def test_tree(self):
        tree = self.busctl('tree', '--list', NAME).stdout.split()
        for actor in self.actors().values():
            self.assertIn(actor['path'], tree)
        for path in PATH, PATH + '/monitor/nap', PATH + '/monitor/squares', LOG:
            self.assertIn(path, tree)

    def test_introspect(self):
        out = self.busctl('introspect', '--no-legend', NAME, PATH).stdout
        for interface in MANAGER, 'org.freedesktop.DBus.ObjectManager', 'org.freedesktop.DBus.Properties':
            self.assertRegex(out, r'(?m)^%s +interface' % re.escape(interface))
        self.assertRegex(out, r'(?m)^\.ListActors +method +- +a\(sssssuto\)')
        self.assertRegex(out, r'(?m)^\.Send +method +ssava\{sv\} +v')
        xml = self.busctl('introspect', '--xml-interface', NAME, PATH).stdout
        self.assertRegex(xml, r'<arg type="s" name="target" direction="in"/>')

    def test_call(self):
        listed, = self.call('ListActors')
        self.assertEqual(sorted(a[1] for a in listed), ['nap.1', 'nap.2', 'squares.1', 'squares.2'])
        self.assertEqual(self.call('Send', 'ssava{sv}', 'squares.1', 'square', '1', 'x', '12', '0'), [{'type': 'x', 'data': 144}])
        before, = self.call('Scale', 'su', 'nap', '3')
        self.assertEqual(before, 2)
        self.assertEqual(self.monitors()['nap']['running'], 3)
        failed = self.busctl('call', NAME, PATH, MANAGER, 'GetActor', 's', 'nosuch', check=1)
        self.assertIn('nosuch', failed.stderr)

    def test_properties(self):
        self.assertEqual(self.busctl('get-property', NAME, PATH, MANAGER, 'NActors').stdout, 'u 4\n')
        self.assertEqual(self.busctl('get-property', NAME, PATH + '/monitor/nap', NAME + '.Monitor', 'Running').stdout, 'u 2\n')

    def test_monitor(self):
        """What happens is told as it happens: deaths, new lives, properties."""
        monitor = self.box.popen(['busctl', 'monitor', NAME])
        monitor.expect('Monitoring bus message stream')
        actor = self.actors()['nap.1']
        self.box.kill(actor['pid'], 9)
        monitor.expect_all('Member=ActorGone', 'Member=InterfacesRemoved', 'Member=ActorNew', 'Member=InterfacesAdded',
                           'Member=PropertiesChanged')
        monitor.kill()

    def test_log_level(self):
        self.assertEqual(self.out('systemctl', 'service-log-level', self.UNIT), 'info\n')
        self.busctl('set-property', NAME, LOG, LOG_CONTROL, 'LogLevel', 's', 'debug')
        self.assertEqual(self.out('systemctl', 'service-log-level', self.UNIT), 'debug\n')
        self.run_in('systemctl', 'service-log-level', self.UNIT, 'warning')
        self.assertEqual(self.busctl('get-property', NAME, LOG, LOG_CONTROL, 'LogLevel').stdout, 's "warning"\n')
        self.busctl('set-property', NAME, LOG, LOG_CONTROL, 'LogLevel', 's', 'loud', check=1)
        self.assertEqual(self.out('systemctl', 'service-log-level', self.UNIT), 'warning\n')

    def test_activation(self):
        self.run_in('systemctl', 'enable', self.UNIT)
        self.addCleanup(self.run_in, 'systemctl', 'disable', self.UNIT)
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.property('ActiveState'), 'inactive')
        listed, = self.call('ListMonitors')
        self.assertEqual(sorted(m[0] for m in listed), ['nap', 'squares'])
        self.assertEqual(self.property('ActiveState'), 'active')


class Authority(Bus):
    REFUSED = {'Stop': ('s', 'nap.1'), 'Kill': ('si', 'nap.1', '9'), 'Restart': ('s', 'nap.1'), 'Scale': ('su', 'nap', '5'),
               'Spawn': ('a{sv}', '2', 'Name', 's', 'x', 'Exec', 'as', '1', '/bin/true'), 'Reload': (),
               'PlanReload': (),
               'Send': ('ssava{sv}', 'squares.1', 'square', '1', 'x', '12', '0')}

    def setUp(self):
        super().setUp()
        self.before = {n: a['aid'] for n, a in self.actors().items()}

    def assertUntouched(self):
        self.assertEqual({n: a['aid'] for n, a in self.actors().items()}, self.before)

    def refused(self, method, user):
        failed = self.busctl('call', NAME, PATH, MANAGER, method, *self.REFUSED[method], user=user, check=1)
        self.assertRegex(failed.stderr, NAME + r'\.[a-z-]+')

    def rule(self, text):
        """polkit says when it has read it."""
        cursor = self.box.cursor()
        self.write('/etc/polkit-1/rules.d/50-test.rules', text)
        self.addCleanup(self.run_in, 'rm', '-f', '/etc/polkit-1/rules.d/50-test.rules')
        self.entry('_SYSTEMD_UNIT=polkit.service', cursor=cursor, predicate=lambda e: 'Finished loading' in e['MESSAGE'])

    def allow(self, user, action):
        self.rule('polkit.addRule(function(action, subject) {\n'
                  '        if (action.id == "%s.%s" && subject.user == "%s")\n'
                  '                return polkit.Result.YES;\n});\n' % (NAME, action, user))

    def test_reads_are_free(self):
        listed, = self.call('ListActors', user='bob')
        self.assertEqual(len(listed), 4)
        self.assertEqual(self.busctl('get-property', NAME, PATH, MANAGER, 'NActors', user='bob').stdout, 'u 4\n')
        self.assertIn(PATH + '/monitor/nap', self.busctl('tree', '--list', NAME, user='bob').stdout.split())
        self.assertIn('nap.1', self.ctl('status', user='bob').stdout)
        self.assertUntouched()

    def test_refused(self):
        for method in self.REFUSED:
            with self.subTest(method):
                self.refused(method, 'bob')
        for argv in ('kill', 'nap.1'), ('stop', 'nap'), ('scale', 'nap', '5'), ('send', 'squares.1', 'square', 'x', '2'):
            failed = self.ctl(*argv, user='bob', check=1)
            self.assertRegex(failed.stderr, r'(?i)polkit|authori[sz]')
        self.busctl('set-property', NAME, LOG, LOG_CONTROL, 'LogLevel', 's', 'debug', user='bob', check=1)
        self.assertUntouched()

    def test_allowed(self):
        self.run_in('systemctl', 'start', 'polkit.service')
        self.allow('alice', 'manage-actors')
        self.ctl('kill', 'nap.1', user='alice')
        self.running('nap.1', self.cursor)
        self.refused('Kill', 'bob')
        self.refused('Reload', 'alice')
        self.refused('PlanReload', 'alice')
        self.refused('Send', 'alice')

    def test_each_action(self):
        self.run_in('systemctl', 'start', 'polkit.service')
        self.allow('alice', 'send-messages')
        self.assertIn('144', self.ctl('send', 'squares.1', 'square', 'x', '12', user='alice').stdout)
        self.refused('Kill', 'alice')
        self.allow('alice', 'reload')
        self.call('Reload', user='alice')
        self.assertEqual(self.call('PlanReload', user='alice'), [[]])
        self.assertIn('change nothing', self.ctl('--system', 'daemon-reload', '--dry-run', user='alice').stdout)
        self.assertRegex(self.ctl('--system', 'daemon-reload', '--dry-run', user='bob', check=1).stderr, NAME + '.reload')
        self.refused('Send', 'alice')
        self.assertUntouched()

    def test_without_polkit(self):
        """Denied, but for root."""
        self.run_in('systemctl', 'mask', '--runtime', '--now', 'polkit.service')
        self.addCleanup(self.run_in, 'systemctl', 'unmask', '--runtime', 'polkit.service')
        # busctl has its own words for AccessDenied.
        self.assertRegex(self.ctl('--system', 'kill', 'nap.1', user='alice', check=1).stderr, NAME + '.manage-actors.*polkit')
        listed, = self.call('ListActors', user='alice')
        self.assertEqual(len(listed), 4)
        self.assertUntouched()
        self.call('Scale', 'su', 'nap', '3')
        self.assertEqual(self.monitors()['nap']['workers'], 3)

    def test_polkit_takes_its_time(self):
        """Who waits for it is alone with that; what it allows too late for the caller is not done."""
        self.run_in('systemctl', 'start', 'polkit.service')
        self.allow('alice', 'manage-actors')
        pid = self.box.property('polkit.service', 'MainPID')
        self.box.kill(pid, 19)
        self.addCleanup(self.box.run, ['kill', '-CONT', pid], check=False)
        waits = self.box.popen(['busctl', 'call', NAME, PATH, MANAGER, 'Kill', 'si', 'nap.1', '9'], user='alice')
        gone = self.box.popen(['busctl', 'call', NAME, PATH, MANAGER, 'Kill', 'si', 'nap.2', '9'], user='alice')
        monitor = self.box.popen(['busctl', 'monitor', 'org.freedesktop.PolicyKit1'])
        monitor.expect('Monitoring bus message stream')
        self.assertEqual(len(self.call('ListActors', user='bob')[0]), 4)
        gone.kill()
        self.assertUntouched()
        self.box.kill(pid, 18)
        self.assertEqual(waits.wait()[0], 0)
        monitor.kill()
        self.running('nap.1', self.cursor)

    def test_interaction(self):
        """Only who says that it may be asked is; there is no agent, and the error says what is missing."""
        for name in 'peer.py', 'interactive.py':
            self.box.copy(os.path.join(case.boxes.HERE, name), '/tmp/' + name)
        monitor = self.box.popen(['busctl', 'monitor', '--json=short', 'org.freedesktop.PolicyKit1'])
        monitor.expect('Monitoring bus message stream')
        said = self.out('/usr/bin/python3', '/tmp/interactive.py', user='bob').split()
        self.assertEqual(said, 2 * ['org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'])
        for flags in 0, 1:
            asked = json.loads(monitor.expect(r'.*"member":"CheckAuthorization".*').group())['payload']['data']
            self.assertEqual((asked[1], asked[3]), (NAME + '.manage-actors', flags))
        monitor.kill()
        self.assertUntouched()


class Restart(Bus):
    def has_name(self):
        listed = self.busctl('list', '--acquired', '--no-legend', check=False).stdout
        return re.search(r'(?m)^io\.arbiter\.Arbiter1 ', listed)

    def test_under_load(self):
        """The bus dies under its clients, twice. The actors do not hear of it, nor who came by the private socket."""
        self.box.copy(os.path.join(case.boxes.HERE, 'peer.py'), '/tmp/peer.py')
        self.box.copy(os.path.join(case.boxes.HERE, 'load.py'), '/tmp/load.py')
        pid, before = self.pid(), self.actors()
        load = [self.box.popen(['/usr/bin/python3', '/tmp/load.py', *where], stdin=case.subprocess.PIPE)
                for where in (['/run/dbus/system_bus_socket', 'system'], ['/run/arbiter/private', 'private'])]
        for _ in range(2):
            for process in load:
                for _ in range(3):
                    process.expect(r'^answered$')
            self.run_in('systemctl', 'kill', '--signal=KILL', 'dbus.service')
            self.box.wait_for(self.has_name, 'the name on the new bus')
            load[0].expect(r'^connected$')
        for process in load:
            process.expect(r'^answered$')
            process.end_input()
            self.assertEqual(process.wait()[0], 0)
        self.assertNotIn('connected', load[1].seen[1:])
        self.assertEqual(self.pid(), pid)
        self.assertEqual({n: (a['aid'], a['pid']) for n, a in self.actors().items()},
                         {n: (a['aid'], a['pid']) for n, a in before.items()})
        self.assertEqual(self.call('Send', 'ssava{sv}', 'squares.1', 'square', '1', 'x', '5', '0'), [{'type': 'x', 'data': 25}])


if __name__ == '__main__':
    case.main()
