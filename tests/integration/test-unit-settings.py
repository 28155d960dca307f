#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each setting of the table of units means to systemd what the same line of a unit file means: both are given to the
systemd of the box, one as a transient unit over D-Bus, the other as a file, and what it shows of the two is compared."""

import json
import os
import sys

sys.dont_write_bytecode = True
import case

DIRECTORY = '/run/systemd/system'
# What is not set, but comes of running.
NOT_SET = {'Result', 'ReloadResult', 'CleanResult', 'MainPID', 'ControlPID', 'StatusErrno', 'NRestarts', 'UID', 'GID', 'ControlGroup',
           'ControlGroupId', 'MemoryCurrent', 'MemoryAvailable', 'CPUUsageNSec', 'EffectiveCPUs', 'EffectiveMemoryNodes',
           'TasksCurrent', 'ExecMainStartTimestamp', 'ExecMainStartTimestampMonotonic', 'ExecMainExitTimestamp',
           'ExecMainExitTimestampMonotonic', 'ExecMainPID', 'ExecMainCode', 'ExecMainStatus'}
# In a unit file, too, this would be another value.
ALONE = {'CPUSchedulingPriority': ['CPUSchedulingPolicy=rr'], 'TTYRows': ['TTYPath=/dev/tty7'], 'TTYColumns': ['TTYPath=/dev/tty7'],
         'IOSchedulingPriority': ['IOSchedulingClass=best-effort']}


# What this systemd is built without: it takes them, and shows nothing.
WITHOUT = {'RestrictFileSystems'}
# Of section [Unit], and no property of a service: test-units.
OF_UNIT = {'Documentation'}
# Of these systemd refuses a file in which they are empty.
NEVER_EMPTY = {'DynamicUser'}
# Other forms of values, and what several lines come to.
MORE = [
    ['Environment=A=\\x41\\x20b \'B="c"\'', 'Environment=A=2 C=3'],
    ['Environment=A=1', 'Environment=', 'Environment=B=2'],
    ['CapabilityBoundingSet=CAP_KILL', 'CapabilityBoundingSet=cap_chown CAP_FOWNER'],
    ['CapabilityBoundingSet=~CAP_KILL', 'CapabilityBoundingSet=~CAP_CHOWN', 'CapabilityBoundingSet=CAP_KILL'],
    ['CapabilityBoundingSet=CAP_KILL CAP_CHOWN', 'CapabilityBoundingSet=~CAP_KILL'],
    ['CapabilityBoundingSet=CAP_KILL', 'CapabilityBoundingSet='], ['CapabilityBoundingSet=', 'CapabilityBoundingSet=CAP_KILL'],
    ['AmbientCapabilities=CAP_KILL', 'AmbientCapabilities=CAP_CHOWN'], ['AmbientCapabilities=~CAP_KILL'],
    ['RestrictNamespaces=user', 'RestrictNamespaces=net pid'], ['RestrictNamespaces=yes'], ['RestrictNamespaces=~cgroup ipc', 'RestrictNamespaces=~mnt'],
    ['CPUAffinity=0', 'CPUAffinity=1 3,5-7'], ['CPUAffinity=numa', 'NUMAPolicy=bind', 'NUMAMask=0'],
    ['AllowedCPUs=0', 'AllowedCPUs=9-17'], ['MemoryMax=1G', 'MemoryMax=20%'], ['MemoryMax=20%', 'MemoryMax=1.5G'], ['MemoryMin=infinity'],
    ['TasksMax=100'], ['TasksMax=infinity'], ['LimitNOFILE=5', 'LimitNOFILE=6:7'], ['LimitRTTIME=5'], ['LimitNICE=-5'], ['LimitCPU=infinity:infinity'],
    ['StandardOutput=file:/var/log/x', 'StandardError=truncate:/var/log/y'], ['StandardOutput=append:/var/log/x', 'StandardOutput=null'],
    ['StandardOutput=journal+console', 'StandardError=kmsg'], ['StandardOutput=tty', 'StandardError=kmsg+console'],
    ['RuntimeDirectory=a', 'RuntimeDirectory=b:c d:e', 'RuntimeDirectory=f:g'], ['StateDirectory=a:b'], ['LogsDirectory=a/b/c'],
    ['Delegate=yes'], ['Delegate=no'], ['Delegate=cpu', 'Delegate='], ['RestrictAddressFamilies=none'], ['RestrictAddressFamilies=~AF_PACKET', 'RestrictAddressFamilies=~AF_NETLINK'],
    ['SystemCallFilter=read write', 'SystemCallFilter=@mount', 'SystemCallFilter=~umount2:EPERM'], ['SystemCallFilter=~@mount', 'SystemCallFilter=~read:11'],
    ['SystemCallErrorNumber=kill'], ['SystemCallErrorNumber=13'], ['SystemCallArchitectures=native x86'],
    ['RootHash=/srv/hash'], ['RootHashSignature=/srv/sig'], ['RootImageOptions=ro,nodev'],
    ['MountImages="/srv/with blank.raw":/srv/x:root:ro:home:rw', 'MountImages=/srv/y:/srv/z:nodev'], ['ExtensionImages=/srv/x:ro /srv/y'],
    ['BindPaths=/srv/a\\:b:/mnt', 'BindPaths="/srv/c d"'], ['TemporaryFileSystem=/mnt:mode=0700,uid=5'],
    ['TimerSlackNSec=5'], ['TimerSlackNSec=2s'], ['TimerSlackNSec=7 ns'], ['CPUWeight=idle'], ['CPUQuota=0.5%'], ['CPUQuota=12.34%'], ['CPUQuota=6400%'],
    ['ProtectSystem=true'], ['ProtectSystem=no', 'ProtectHome=on'], ['RuntimeDirectoryPreserve=1'], ['PrivateTmp=1'],
    ['CPUSchedulingPolicy=3'], ['IOSchedulingClass=3'], ['SyslogFacility=10'], ['SyslogLevel=3'], ['MountFlags=private'], ['MountFlags=shared'],
    ['CoredumpFilter=all'], ['CoredumpFilter=1f'], ['CoredumpFilter=private-dax shared-dax elf-headers'], ['SecureBits=noroot no-setuid-fixup-locked'],
    ['DeviceAllow=char-pts'], ['DeviceAllow=/dev/null r', 'DeviceAllow=block-loop rwm'], ['IPAddressAllow=localhost', 'IPAddressAllow=link-local multicast ::1'],
    ['IPAddressAllow=192.168.7.9'], ['SocketBindAllow=ipv4:udp:53'], ['SocketBindAllow=80'], ['SocketBindAllow=tcp', 'SocketBindAllow=ipv6:1-2'], ['SocketBindDeny=ipv4'],
    ['IOReadBandwidthMax=/srv infinity'], ['IOReadIOPSMax=/srv 2M'], ['ExecSearchPath=/a:/b', 'ExecSearchPath=/c'],
    ['ExecStartPre=true', 'ExecStartPre=-+/bin/true a', 'ExecStartPre=@/bin/sh name -c "exit 0"', 'ExecStartPre=-:!!/bin/true'],
    ['SuccessExitStatus=1', 'SuccessExitStatus=SIGKILL RTMIN+1 NOTRUNNING CONFIG DATAERR', 'SuccessExitStatus=255'], ['KillSignal=9', 'FinalKillSignal=USR2', 'WatchdogSignal=SIGRTMAX-1'],
    ['LoadCredential=same'], ['SetCredential=a:with "quotes" and blanks', 'SetCredential=b:\\xff'], ['SetCredentialEncrypted=a:QUI= '],
    ['UnsetEnvironment=A', 'UnsetEnvironment=B=1'], ['PassEnvironment=A', 'PassEnvironment=B C'], ['RuntimeMaxSec=infinity'], ['RuntimeMaxSec=1min 30s'],
    ['EnvironmentFile=/etc/a', 'EnvironmentFile=-/etc/b'], ['LogExtraFields=A=1 B=2', 'LogExtraFields=C=\\x41'], ['WorkingDirectory=~'], ['WorkingDirectory=/tmp'],
    ['Personality=x86'], ['UMask=077'], ['AppArmorProfile=unconfined'], ['TTYPath=/dev/pts/1'], ['ManagedOOMMemoryPressureLimit=0.01%'], ['ManagedOOMMemoryPressureLimit=100%'],
]


# A worker in a sandbox of many settings.
RUNNING = [
    'MemoryMax=500M', 'CPUQuota=50%', 'TasksMax=20', 'CPUWeight=50', 'IOWeight=200', 'OOMScoreAdjust=500', 'Nice=3', 'UMask=0027',
    'LimitNOFILE=1000:2000', 'LimitCORE=0', 'LimitNPROC=50', 'TimerSlackNSec=100us', 'CPUAffinity=0', 'Environment=A=1 "B=two words"',
    'ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'PrivateDevices=yes', 'PrivateNetwork=yes', 'PrivateIPC=yes',
    'ProtectKernelTunables=yes', 'ProtectKernelModules=yes', 'ProtectKernelLogs=yes', 'ProtectClock=yes', 'ProtectControlGroups=yes',
    'ProtectHostname=yes', 'ProtectProc=invisible', 'ProcSubset=pid', 'NoNewPrivileges=yes', 'RestrictNamespaces=yes', 'LockPersonality=yes',
    'RestrictRealtime=yes', 'RestrictSUIDSGID=yes', 'RestrictAddressFamilies=AF_UNIX', 'SystemCallFilter=@system-service',
    'SystemCallFilter=~@resources:ENOSYS', 'SystemCallErrorNumber=EPERM', 'SystemCallArchitectures=native', 'CapabilityBoundingSet=CAP_KILL CAP_CHOWN',
    'ReadWritePaths=/var/lib', 'InaccessiblePaths=-/srv', 'TemporaryFileSystem=/opt:ro', 'BindReadOnlyPaths=/etc:/opt/etc', 'DynamicUser=yes',
    'RuntimeDirectory=worker worker/inner', 'RuntimeDirectoryMode=0750', 'StateDirectory=worker', 'LoadCredential=host:/etc/hostname',
    'SetCredential=greeting:hello', 'KeyringMode=private', 'KillMode=mixed', 'KillSignal=SIGINT', 'SendSIGHUP=yes', 'LogExtraFields=WORKER=yes',
    'DeviceAllow=/dev/null rw', 'ExecStartPre=/bin/sh -c "echo $B >/run/worker/b"', 'ExecStartPre=-/bin/false', 'WorkingDirectory=/var',
]


class Settings(case.Case):
    program = '/run/transient-unit'

    @classmethod
    def setUpClass(cls):
        # Wherever the build directory is, the box sees not all of the machine.
        cls.box.copy(os.path.join(os.path.abspath(sys.argv[2]), 'tests/integration/transient-unit'), cls.program, 0o755)

    def table(self):
        lines = self.out(self.program, 'table').splitlines()
        return [line.split('\t') for line in lines]

    def show(self, kind, names):
        """{name: {property: value}}, as systemd says them on D-Bus."""
        script = 'while read path; do busctl --json=short call org.freedesktop.systemd1 "$path" ' \
                 'org.freedesktop.DBus.Properties GetAll s org.freedesktop.systemd1.Service; done </run/units.txt'
        self.write('/run/units.txt', ''.join('/org/freedesktop/systemd1/unit/%s_2d%s_2eservice\n' % (kind, n) for n in names))
        answers = self.out('sh', '-ec', script).splitlines()
        return {name: {p: self.strip(p, v['data'], kind) for p, v in json.loads(answer)['data'][0].items() if p not in NOT_SET}
                for name, answer in zip(names, answers)}

    @staticmethod
    def strip(name, value, kind):
        """Without what shows where the unit comes from, and how its commands fare."""
        if isinstance(value, str):
            return value.replace(kind + '-', '')
        if name.startswith('IPAddress'):
            return sorted(value)  # systemd has no order for them
        return [command[:3] for command in value] if name.startswith('Exec') and isinstance(value, list) else value

    def write_files(self, lines):
        """{name: [NAME=VALUE]} as unit files file-NAME.service, all at once."""
        text = ''.join('@file-%s.service\n[Service]\nExecStart=/bin/sleep 1000\n%s' % (name, ''.join(s + '\n' for s in settings))
                       for name, settings in lines.items())
        self.write('/run/units.txt', text)
        self.run_in('awk', '/^@/ { f = "%s/" substr($0, 2); next } { print >f }' % DIRECTORY, '/run/units.txt')
        self.run_in('systemctl', 'daemon-reload')

    def start_transient(self, lines):
        text = ''.join('\t'.join(['bus-%s.service' % name, *settings]) + '\n' for name, settings in lines.items())
        self.write('/run/units.txt', text)
        answers = self.out('sh', '-c', '%s start </run/units.txt' % self.program).splitlines()
        return dict(line.split('\t', 1) for line in answers)

    def compare(self, lines, plain):
        lines = {plain: [], **lines}
        self.write_files(lines)
        answers = self.start_transient(lines)
        wrong = ['%s: %s' % (unit, answer) for unit, answer in answers.items() if answer != 'ok']
        files, units = self.show('file', lines), self.show('bus', lines)
        changed = {name: {p for p, v in files[name].items() if v != files[plain][p]} for name in lines}
        known = set().union(*changed.values())
        names = {n for n, _, _ in self.table()} - WITHOUT
        for name, settings in lines.items():
            if name in names and not changed[name]:
                wrong.append('%s: changes nothing' % settings)
            wrong += ['%s: %s is %r, of the file %r' % (settings, p, units[name][p], files[name][p]) for p in sorted(known)
                      if units[name][p] != files[name][p]]
        self.assertEqual(wrong, [])

    def known(self):
        """The settings that this systemd knows in [Service]."""
        text = self.out('/lib/systemd/systemd', '--dump-configuration-items').split('[Service]\n')[1].split('\n\n')[0]
        return {line.split('=')[0] for line in text.splitlines()}

    def test_newer(self):
        """What this systemd is too old for it refuses, and starts nothing without it."""
        known = self.known() | OF_UNIT
        lines = {name: ['%s=%s' % (name, example)] for name, example, _ in self.table() if example and name not in known}
        for unit, answer in self.start_transient(lines).items():
            self.assertRegex(answer, 'Cannot set property [A-Za-z]+, or unknown property', unit)

    def test_each(self):
        lines, known = {}, self.known()
        for name, example, refusal in self.table():
            self.assertNotEqual(bool(example), bool(refusal), name)
            if example and name in known:
                lines[name] = ALONE.get(name, []) + ['%s=%s' % (name, example)]
        self.compare(lines, 'plain')

    def test_empty(self):
        """Where systemd knows what an empty value stands for, that is meant."""
        self.compare({name + 'empty': [name + '='] for name, example, _ in self.table() if example and name not in NEVER_EMPTY}, 'plainempty')

    def test_more(self):
        self.compare({'more%d' % i: settings for i, settings in enumerate(MORE)}, 'plainmore')

    def test_running(self):
        """They are also what the kernel is told."""
        self.assertEqual(self.start_transient({'running': RUNNING}), {'bus-running.service': 'ok'})
        self.box.wait_for(lambda: self.box.property('bus-running.service', 'SubState') == 'running', 'the worker')
        pid = self.box.property('bus-running.service', 'MainPID')
        self.box.wait_for(lambda: self.out('cat', '/proc/%s/comm' % pid) == 'sleep\n', 'the program')
        status = dict(line.split(':\t', 1) for line in self.out('cat', '/proc/%s/status' % pid).splitlines())
        self.assertEqual((status['CapBnd'], status['NoNewPrivs'], status['Seccomp'], status['Umask'], status['Cpus_allowed_list']),
                         ('0000000000000021', '1', '2', '0027', '0'))
        self.assertRegex(self.out('cat', '/proc/%s/limits' % pid), r'Max open files +1000 +2000 ')
        self.assertIn('B=two words', self.out('cat', '/proc/%s/environ' % pid).split('\0'))
        root = '/proc/%s/root' % pid
        self.assertEqual(self.out('cat', root + '/run/worker/b'), 'two words\n')
        self.assertEqual(self.out('cat', root + '/opt/etc/hostname'), self.out('cat', '/etc/hostname'))

    def test_all_are_known(self):
        """No setting that this systemd knows in [Service] is unknown to arbiter."""
        self.assertEqual(self.known() - {name for name, _, _ in self.table()}, set())


if __name__ == '__main__':
    case.main()
