# SPDX-License-Identifier: LGPL-2.1-or-later
"""An entry in journald's native protocol, for tests that are the journal."""

import struct


def decode(data):
    """Its fields: name to bytes."""
    fields = {}
    while data:
        line, _, rest = data.partition(b'\n')
        if b'=' in line:
            name, _, value = line.partition(b'=')
        else:
            name, size = line, struct.unpack_from('<Q', rest)[0]
            value, rest = rest[8:8 + size], rest[8 + size + 1:]
        assert name not in fields, name
        fields[name.decode()] = value
        data = rest
    return fields
