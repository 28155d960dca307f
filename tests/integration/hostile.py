# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that nobody wants, and many at once. Runs inside the box, as root or not, beside an arbiter with the pools nap (programs),
squares (modules) and stubborn (it takes a while to stop). Whatever happens here, others must be answered, by the same life
of the daemon, and no descriptor may be left in it.

hostile.py SOCKET system|private PID-OF-ARBITERD [unittest arguments]
"""

import os
import select
import sys
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from peer import CALL, ERROR, MANAGER, NAME, PATH, RETURN, Closed, Peer, timed, types

SOCKET, BUS, DAEMON = sys.argv[1], sys.argv[2] == 'system', int(sys.argv[3])
# A hundred milliseconds is the promise; here two busy cores run this, the bus, and other tests.
SOON = 2
FLOOD = 10000
ROOT = os.geteuid() == 0
INTROSPECTABLE, PROPERTIES = 'org.freedesktop.DBus.Introspectable', 'org.freedesktop.DBus.Properties'
OBJECT_MANAGER = 'org.freedesktop.DBus.ObjectManager'


class ArbiterPeer(Peer):
    def __init__(self, **more):
        super().__init__(SOCKET, hello=BUS, **more)

    def ask(self, path, interface, member, signature='', values=(), **more):
        return self.call(NAME if BUS else None, path, interface, member, signature, values, **more)

    def begin(self, path, interface, member, signature='', values=(), **more):
        return self.send(NAME if BUS else None, path, interface, member, signature, values, **more)


def descriptors():
    return len(os.listdir('/proc/%d/fd' % DAEMON)) if ROOT else 0


class Case(unittest.TestCase):
    def setUp(self):
        self.good = self.peer()
        self.assertAnswers()
        self.before = descriptors()
        self.peers = []

    def tearDown(self):
        self.assertAnswers()
        for peer in self.peers:
            peer.close()
        # The ends of connections come to the daemon as anything else does: after the calls before them.
        deadline = time.monotonic() + 60
        while descriptors() > self.before and time.monotonic() < deadline:
            self.assertAnswers()
        self.assertLessEqual(descriptors(), self.before)
        self.good.close()

    def peer(self, **more):
        peer = ArbiterPeer(**more)
        if hasattr(self, 'peers'):
            self.peers.append(peer)
        return peer

    def assertAnswers(self):
        """A client that did nothing wrong: its call is answered, and soon."""
        reply, seconds = timed(self.good.ask, PATH, MANAGER, 'Ping' if ROOT else 'GetActor', 's', ['squares.1'])
        self.assertEqual(reply.type, RETURN, reply.text())
        self.assertLess(seconds, SOON)
        return seconds

    def assertRefused(self, reply, prefixes=('io.arbiter.Arbiter1.Error.', 'org.freedesktop.DBus.Error.')):
        self.assertEqual(reply.type, ERROR, reply.text())
        self.assertTrue(reply.error.startswith(prefixes), reply.error)
        self.assertTrue(reply.body and reply.body[0], 'an error without a text: ' + reply.error)
        return reply

    def actor(self, name='squares.1'):
        reply = self.good.ask(PATH, MANAGER, 'GetActor', 's', [name])
        self.assertEqual(reply.type, RETURN, reply.text())
        return reply.body[0]

    def methods(self):
        """(path, interface, method, signature) of all that is ours, by its own word."""
        for path in PATH, PATH + '/monitor/nap', self.actor():
            reply = self.good.ask(path, INTROSPECTABLE, 'Introspect')
            for interface in xml.etree.ElementTree.fromstring(reply.body[0]).iter('interface'):
                if interface.get('name').startswith(NAME):
                    for method in interface.iter('method'):
                        signature = ''.join(a.get('type') for a in method.iter('arg') if a.get('direction') == 'in')
                        yield path, interface.get('name'), method.get('name'), signature


class Wrong(Case):
    VALUES = {'': [], 's': ['squares.1'], 'u': [1], 'av': [[]], 'a{sv}': [{}], 'as': [['a', 'b']], 'v': [('s', 'x')],
              'o': ['/'], 'g': ['s'], 'x': [-1], '(ss)': [('a', 'b')], 'ay': [b'abc'], 'ss': ['a', 'b']}

    def test_signatures(self):
        """Each method, with each signature that is not its own."""
        peer, n = self.peer(), 0
        for path, interface, method, right in self.methods():
            self.assertEqual(''.join(types(right)), right)
            for signature, values in self.VALUES.items():
                if signature != right:
                    self.assertRefused(peer.ask(path, interface, method, signature, values))
                    n += 1
        self.assertGreater(n, 200)

    def test_paths(self):
        peer = self.peer()
        for path in ('/', '/io', '/io/arbiter', PATH + '/actor', PATH + '/actor/nosuchac', PATH + '/actor/_00', PATH + '/monitor/_',
                     PATH + '/monitor/nap/nap', PATH + '/monitor/_2e_2e', PATH + '/x' * 1000, '/' + 'y' * 60000,
                     self.actor() + '/more', PATH + '/actor/________'):
            for interface, member in ((MANAGER, 'ListActors'), (NAME + '.Actor', 'Stop'), (NAME + '.Monitor', 'Restart')):
                self.assertRefused(peer.ask(path, interface, member))
            self.assertRefused(peer.ask(path, PROPERTIES, 'Get', 'ss', [MANAGER, 'Version']))

    def test_members(self):
        peer = self.peer()
        for interface, member in ((MANAGER, 'NoSuchMethod'), ('no.such.Interface', 'ListActors'), (MANAGER, 'x' * 255),
                                  (NAME + '.Actor', 'Ping'), (None, 'NoSuchMethod')):
            self.assertRefused(peer.ask(PATH, interface, member))
        for name in 'NoSuch', '', 'version', 'x' * 10000:
            self.assertRefused(peer.ask(PATH, PROPERTIES, 'Get', 'ss', [MANAGER, name]))
            self.assertRefused(peer.ask(PATH, PROPERTIES, 'Set', 'ssv', [MANAGER, name, ('u', 1)]))
        self.assertRefused(peer.ask(PATH, PROPERTIES, 'Set', 'ssv', [MANAGER, 'Version', ('s', 'mine')]))

    def test_targets(self):
        peer = self.peer()
        for target in ('', '.', '..', '../../etc/passwd', 'nap.1\n', 'nap.1 ', '*', 'nap.999999999999', 'nap.-1', '\u2603',
                       '%s%n%s%n', 'x' * 1000000):
            for method, signature, more in (('GetActor', 's', []), ('Ping', 's', []), ('Stop', 's', []), ('Kill', 'si', [9]),
                                            ('Restart', 's', []), ('Scale', 'su', [3]),
                                            ('Send', 'ssava{sv}', ['ping', [], {}])):
                self.assertRefused(peer.ask(PATH, MANAGER, method, signature, [target, *more]))

    def test_numbers(self):
        peer = self.peer()
        for number in -1, 0x7fffffff, -0x80000000, 65, 1000:
            self.assertRefused(peer.ask(PATH, MANAGER, 'Kill', 'si', ['nap.1', number]))
        self.assertRefused(peer.ask(PATH, MANAGER, 'Scale', 'su', ['nap', 0xffffffff]))

    def test_spawn(self):
        peer = self.peer()
        for properties in ({}, {'Name': ('s', 'x')}, {'Exec': ('as', [])}, {'Name': ('s', '..'), 'Exec': ('as', ['/bin/true'])},
                           {'Definition': ('s', '../../etc/passwd')}, {'Definition': ('s', '')}, {'Definition': ('u', 1)},
                           {'Name': ('s', 'x'), 'Exec': ('s', '/bin/true')}, {'NoSuchKey': ('s', 'x')},
                           {'Name': ('s', 'x' * 65), 'Exec': ('as', ['/bin/true'])},
                           {'Name': ('s', 'x'), 'Exec': ('as', ['/nonexistent/program'])}):
            self.assertRefused(peer.ask(PATH, MANAGER, 'Spawn', 'a{sv}', [properties]))


class Huge(Case):
    def refused(self, *call):
        """By us, or the bus shows the door to a peer that sends such things."""
        try:
            self.assertRefused(self.peer().ask(*call))
        except Closed:
            pass

    def test_arrays(self):
        self.refused(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [('x', 1)] * 500000, {}])
        self.refused(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [('x', 1)], {'k%d' % i: ('t', 1) for i in range(200000)}])
        self.refused(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [('s', 'x' * 30000000)], {}])
        self.refused(PATH, MANAGER, 'Spawn', 'a{sv}', [{'Name': ('s', 'big'), 'Exec': ('as', ['x'] * 1000000)}])
        self.refused(PATH, MANAGER, 'Spawn', 'a{sv}', [{'k%d' % i: ('s', '') for i in range(300000)}])
        self.refused(PATH, MANAGER, 'GetActor', 's', ['x' * 30000000])
        self.refused(PATH, MANAGER, 'GetActor', 'ay', [bytes(60000000)])

    def test_deep(self):
        value = ('s', 'x')
        for _ in range(60):
            value = ('v', value)
        self.refused(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [value], {}])
        self.refused(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [('a' * 31 + 'y', [])], {}])


class Flood(Case):
    def pour(self, peer, calls):
        """As fast as it goes, reading what comes; counts the answers. A bus may refuse the rest, or close."""
        data = memoryview(b''.join(calls))
        at = answers = refused = 0
        peer.socket.setblocking(False)
        try:
            while answers < len(calls):
                readable, writable, _ = select.select([peer.socket], [peer.socket] if at < len(data) else [], [], 60)
                if not readable and not writable:
                    raise AssertionError('%d of %d answers, and no more' % (answers, len(calls)))
                if writable:
                    at += peer.socket.send(data[at:at + 65536])
                if readable:
                    peer.read()
                    while len(peer.rest) >= 16:
                        size = 16 + (int.from_bytes(peer.rest[12:16], 'little') + 7) // 8 * 8 + int.from_bytes(peer.rest[4:8], 'little')
                        if len(peer.rest) < size:
                            break
                        kind = peer.rest[1]
                        peer.rest = peer.rest[size:]
                        answers += kind in (RETURN, ERROR)
                        refused += kind == ERROR
        except (Closed, ConnectionError):
            self.assertTrue(BUS, 'nobody but a bus closes')
        return answers, refused

    def flooding(self, calls):
        """In a process of its own, which is as quick as it can be; a file that says how it went."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, ('%d %d' % self.pour(self.peers[-1], calls)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        self.addCleanup(os.waitpid, pid, 0)
        return open(reader, encoding='ascii')

    def flood(self, *call):
        """10,000 calls of one peer; meanwhile another has its turn again and again."""
        peer = self.peer()
        with self.flooding([peer.message(NAME if BUS else None, *call)[0] for _ in range(FLOOD)]) as result:
            worst = n = 0
            while not select.select([result], [], [], 0)[0]:
                worst, n = max(worst, self.assertAnswers()), n + 1
            self.assertEqual(len(said := result.read().split()), 2, 'the flood has failed')
        answers, refused = map(int, said)
        print('%s: %d answers, %d of them errors; meanwhile %d answers to another, the slowest after %.1f ms'
              % (call[2], answers, refused, n, worst * 1000), flush=True)
        self.assertGreater(n, 1)
        if not BUS:
            self.assertEqual(answers, FLOOD)
            self.assertLess(refused, FLOOD if call[2] == 'Send' else 1)  # there are bounds on what waits for an actor

    def test_cheap(self):
        self.flood(PATH, MANAGER, 'ListActors')

    def test_dear(self):
        self.flood(PATH, OBJECT_MANAGER, 'GetManagedObjects')

    @unittest.skipIf(ROOT, 'root may')
    def test_forbidden(self):
        """Each of them is a question to polkit."""
        self.flood(PATH, MANAGER, 'Kill', 'si', ['nap.1', 9])

    @unittest.skipUnless(ROOT, 'needs the authority')
    def test_to_an_actor(self):
        self.flood(PATH, MANAGER, 'Send', 'ssava{sv}', ['squares.1', 'square', [('x', 7)], {}])

    def test_never_reads(self):
        """It sends as long as that is taken from it, and reads nothing."""
        peer = self.peer()
        call, _ = peer.message(NAME if BUS else None, PATH, OBJECT_MANAGER, 'GetManagedObjects')
        peer.socket.setblocking(False)
        sent = 0
        try:
            while sent < 20000 * len(call):
                if not select.select([], [peer.socket], [], 0.5)[1]:
                    break
                sent += peer.socket.send((call * 100)[:65536])
        except OSError:
            pass  # closed on it: that is fine, too
        self.assertAnswers()


@unittest.skipUnless(ROOT, 'needs the authority')
class Many(Case):
    CLIENTS = 100

    def test_concurrent(self):
        """A hundred clients, each with several calls under way; every third is gone before it is answered."""
        calls = [('ListActors', '', []), ('Ping', 's', ['squares.2']), ('Send', 'ssava{sv}', ['squares.1', 'square', [('x', 9)], {}]),
                 ('GetMonitor', 's', ['nap']), ('ListCommands', 's', ['squares.1']), ('Ping', 's', ['nap.1'])]
        for _ in range(3):
            peers = [self.peer() for _ in range(self.CLIENTS)]
            serials = [[p.begin(PATH, MANAGER, *c) for c in calls] for p in peers]
            for peer in peers[::3]:
                peer.close()
            self.assertAnswers()
            for i, peer in enumerate(peers):
                if i % 3:
                    replies = [peer.reply(s) for s in serials[i]]
                    self.assertEqual([r.type for r in replies], [RETURN] * len(calls), [r.text() for r in replies])
                    self.assertEqual(replies[2].body, [('x', 81)])
                    peer.close()

    def test_gone_while_it_takes_long(self):
        """What a client has begun goes on without it, and is done once."""
        old = {a[1]: a[0] for a in self.good.ask(PATH, MANAGER, 'ListActors').body[0]}
        peers = [self.peer() for _ in range(5)]
        for peer in peers:
            peer.begin(PATH, MANAGER, 'Restart', 's', ['stubborn.1'])
        self.assertAnswers()
        for peer in peers:
            peer.close()
        while True:
            new = {a[1]: a for a in self.good.ask(PATH, MANAGER, 'ListActors').body[0]}
            if 'stubborn.1' in new and new['stubborn.1'][0] != old['stubborn.1'] and new['stubborn.1'][4] == 'running':
                break
        self.assertAnswers()


class Nonsense(Case):
    """Bytes that are no messages. Where a bus is between, it is the bus that sees them."""

    def closed(self, data, **more):
        peer = self.peer(**more)
        try:
            peer.send_raw(data)
            peer.socket.shutdown(1)
            while True:
                peer.read()
        except (Closed, OSError):
            pass
        self.assertAnswers()

    def test_bytes(self):
        good, _ = self.good.message(NAME if BUS else None, PATH, MANAGER, 'ListActors')
        self.closed(b'\0' * 100000)
        self.closed(os.urandom(100000))
        self.closed(b'B' + good[1:])
        self.closed(b'x' + good[1:])
        self.closed(good[:1] + b'\0' + good[2:])
        self.closed(good[:3] + b'\7' + good[4:])
        self.closed(good[:4] + b'\xff\xff\xff\x7f' + good[8:])
        self.closed(good[:8] + b'\0\0\0\0' + good[12:])
        self.closed(good[:12] + b'\xff\xff\xff\xff' + good[16:])
        for cut in range(1, len(good), 7):
            self.closed(good[:cut])
        for at in range(0, len(good), 3):
            self.closed(good[:at] + bytes([good[at] ^ 0xff]) + good[at + 1:])

    def test_authentication(self):
        for data in (b'', b'\0', b'nonsense', b'\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n', b'\0AUTH ANONYMOUS\r\nBEGIN\r\n',
                     b'\0' + b'AUTH x\r\n' * 10000, b'\0' + b'x' * 1000000, b'\0BEGIN\r\n', b'\0AUTH EXTERNAL\r\nDATA\r\nCANCEL\r\n'):
            peer = Peer(SOCKET, authenticate=False)
            try:
                peer.send_raw(data)
                peer.socket.shutdown(1)
                while True:
                    peer.read()
            except (Closed, OSError):
                pass
            peer.close()
            self.assertAnswers()

    def test_replies_that_nobody_asked_for(self):
        peer = self.peer()
        for kind in 2, 3, 4, 7:
            data, _ = peer.message(NAME if BUS else None, PATH, MANAGER, 'ListActors')
            self.assertEqual(data[1], CALL)
            try:
                for _ in range(100):
                    peer.send_raw(data[:1] + bytes([kind]) + data[2:])
            except Closed:
                peer = self.peer()
            self.assertAnswers()


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
