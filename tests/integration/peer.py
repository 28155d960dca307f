# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus peer made by hand, so that it can send what no library would. Runs inside the box (hostile.py), with the python3
of Debian and nothing else. Values are what Python has; a variant is a pair (signature, value).

        peer = Peer('/run/dbus/system_bus_socket', hello=True)
        peer.call('io.arbiter.Arbiter1', PATH, MANAGER, 'Ping', 's', ['web.1']).body
"""

import os
import select
import socket
import struct
import time

NAME, PATH, MANAGER = 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1', 'io.arbiter.Arbiter1.Manager'
PATIENCE = 60
BASIC = {'y': (1, 'B'), 'n': (2, 'h'), 'q': (2, 'H'), 'i': (4, 'i'), 'u': (4, 'I'), 'b': (4, 'I'), 'x': (8, 'q'), 't': (8, 'Q'),
         'd': (8, 'd'), 'h': (4, 'I')}
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
FIELDS = {1: 'path', 2: 'interface', 3: 'member', 4: 'error', 5: 'reply_serial', 6: 'destination', 7: 'sender', 8: 'signature'}
NO_REPLY, INTERACTIVE = 1, 4


def single(signature, at=0):
    """The end of the complete type that starts there."""
    c = signature[at]
    if c == 'a':
        return single(signature, at + 1)
    if c in '({':
        depth, i = 0, at
        while True:
            depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(signature[i], 0)
            i += 1
            if depth == 0:
                return i
    return at + 1


def types(signature):
    at = 0
    while at < len(signature):
        end = single(signature, at)
        yield signature[at:end]
        at = end


def alignment(t):
    return BASIC[t[0]][0] if t[0] in BASIC else {'s': 4, 'o': 4, 'a': 4, 'g': 1, 'v': 1}.get(t[0], 8)


def pad(out, n):
    out.extend(bytes(-len(out) % n))


def put_array(out, t, value):
    pad(out, 4)
    at = len(out)
    out.extend(bytes(4))
    pad(out, alignment(t[1:]))
    start = len(out)
    if t == 'ay':
        out.extend(value)
    else:
        for v in value.items() if isinstance(value, dict) else value:
            put(out, t[1:], v)
    out[at:at + 4] = struct.pack('<I', len(out) - start)


def put(out, t, value):
    if t in BASIC:
        pad(out, BASIC[t][0])
        out.extend(struct.pack('<' + BASIC[t][1], value))
    elif t in 'so':
        pad(out, 4)
        data = value.encode()
        out.extend(struct.pack('<I', len(data)) + data + b'\0')
    elif t == 'g':
        out.extend(bytes([len(value)]) + value.encode() + b'\0')
    elif t == 'v':
        put(out, 'g', value[0])
        put(out, value[0], value[1])
    elif t[0] == 'a':
        put_array(out, t, value)
    else:
        pad(out, 8)
        for inner, v in zip(types(t[1:-1]), value):
            put(out, inner, v)


def marshal(signature, values):
    out = bytearray()
    for t, v in zip(types(signature), values):
        put(out, t, v)
    return bytes(out)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def align(self, n):
        self.at += -self.at % n

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def array(self, t):
        size = self.get('u')
        self.align(alignment(t))
        end, values = self.at + size, []
        while self.at < end:
            values.append(self.get(t))
        return dict(values) if t[0] == '{' else values

    def get(self, t):
        if t in BASIC:
            size, code = BASIC[t]
            self.align(size)
            value, = struct.unpack('<' + code, self.take(size))
            return bool(value) if t == 'b' else value
        if t in 'so':
            value = self.take(self.get('u')).decode()
            self.at += 1
            return value
        if t == 'g':
            value = self.take(self.get('y')).decode()
            self.at += 1
            return value
        if t == 'v':
            inner = self.get('g')
            return (inner, self.get(inner))
        if t[0] == 'a':
            return self.array(t[1:])
        self.align(8)
        return tuple(self.get(inner) for inner in types(t[1:-1]))


class Message:
    def __init__(self, data):
        self.type = data[1]
        reader = Reader(data)
        reader.at = 4
        self.body_length, self.serial = reader.get('u'), reader.get('u')
        for code, (_, value) in reader.array('(yv)'):
            setattr(self, FIELDS.get(code, 'field'), value)
        reader.align(8)
        body = Reader(data[reader.at:])
        self.body = [body.get(t) for t in types(getattr(self, 'signature', ''))]

    def __getattr__(self, name):
        if name in FIELDS.values():
            return None
        raise AttributeError(name)

    def text(self):
        """For who reads the failure of a test."""
        return '%s %s' % (self.error or 'reply', self.body)


class Closed(Exception):
    """The other side has ended the connection."""


class Peer:
    def __init__(self, address, hello=False, authenticate=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.serial, self.rest, self.replies, self.signals = 0, b'', {}, []
        if authenticate:
            self.authenticate()
        if hello:
            self.name, = self.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello').body

    def authenticate(self):
        self.socket.sendall(b'\0AUTH EXTERNAL %s\r\nBEGIN\r\n' % str(os.geteuid()).encode().hex().encode())
        while b'\r\n' not in self.rest:
            self.read()
        line, _, self.rest = self.rest.partition(b'\r\n')
        if not line.startswith(b'OK '):
            raise Closed(line.decode())

    def read(self):
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError as e:
            raise Closed(str(e)) from e
        if not data:
            raise Closed('end of file')
        self.rest += data

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionError, BrokenPipeError) as e:
            raise Closed(str(e)) from e

    def message(self, destination, path, interface, member, signature='', values=(), flags=0, body=None):
        """The bytes of a call, and its serial."""
        self.serial += 1
        body = marshal(signature, values) if body is None else body
        fields = [(1, ('o', path)), (3, ('s', member))]
        fields += [(2, ('s', interface))] if interface else []
        fields += [(6, ('s', destination))] if destination else []
        fields += [(8, ('g', signature))] if signature else []
        head = bytearray(struct.pack('<BBBBII', ord('l'), CALL, flags, 1, len(body), self.serial))
        put_array(head, 'a(yv)', fields)
        pad(head, 8)
        return bytes(head) + body, self.serial

    def send(self, *call, **more):
        data, serial = self.message(*call, **more)
        self.send_raw(data)
        return serial

    def next(self):
        while True:
            if len(self.rest) >= 16:
                body, _, fields = struct.unpack('<III', self.rest[4:16])
                size = 16 + fields + -fields % 8 + body
                if len(self.rest) >= size:
                    data, self.rest = self.rest[:size], self.rest[size:]
                    return Message(data)
            self.read()

    def sort(self):
        m = self.next()
        if m.type in (RETURN, ERROR):
            self.replies[m.reply_serial] = m
        elif m.type == SIGNAL:
            self.signals.append(m)
        return m

    def reply(self, serial):
        while serial not in self.replies:
            self.sort()
        return self.replies.pop(serial)

    def call(self, *call, **more):
        return self.reply(self.send(*call, **more))

    def close(self):
        self.socket.close()


def first_readable(*peers):
    return select.select([p.socket for p in peers], [], [], PATIENCE)[0]


def timed(function, *arguments, **more):
    start = time.monotonic()
    result = function(*arguments, **more)
    return result, time.monotonic() - start
