# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the box: calls without end, until its stdin ends. Connects anew when the bus is gone. Says "connected", and then
"answered" for each hundred answers.

load.py SOCKET system|private
"""

import os
import select
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from peer import MANAGER, NAME, PATH, RETURN, Closed, Peer

SOCKET, BUS = sys.argv[1], sys.argv[2] == 'system'
CALLS = [('ListActors', '', []), ('Ping', 's', ['squares.1']), ('Send', 'ssava{sv}', ['squares.2', 'square', [('x', 3)], {}])]


def serve():
    peer = Peer(SOCKET, hello=BUS)
    print('connected', flush=True)
    answered = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        serials = [peer.send(NAME if BUS else None, PATH, MANAGER, *call) for call in CALLS]
        for serial in serials:
            # While the new bus has no arbiter yet, its own error comes.
            answered += peer.reply(serial).type == RETURN
            if answered == 100:
                print('answered', flush=True)
                answered = 0
    return True


while True:
    try:
        if serve():
            break
    except (Closed, OSError):
        pass
