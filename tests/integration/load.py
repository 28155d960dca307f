# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the box: calls without end, until its stdin ends. Connects anew when the bus is gone. Says "connected", and then
"answered" for each hundred answers, and "error NAME" for each kind of error once.

load.py SOCKET system|private [ACTOR ACTOR]
"""

import os
import select
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from peer import MANAGER, NAME, PATH, RETURN, Closed, Peer

SOCKET, BUS = sys.argv[1], sys.argv[2] == 'system'
ACTORS = sys.argv[3:] or ['squares.1', 'squares.2']
CALLS = [('ListActors', '', []), ('Ping', 's', ACTORS[:1]), ('Send', 'ssava{sv}', [ACTORS[1], 'square', [('x', 3)], {}])]
errors = set()


def serve():
    peer = Peer(SOCKET, hello=BUS)
    print('connected', flush=True)
    answered = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        serials = [peer.send(NAME if BUS else None, PATH, MANAGER, *call) for call in CALLS]
        for serial in serials:
            # While the new bus has no arbiter yet, its own error comes.
            reply = peer.reply(serial)
            answered += reply.type == RETURN
            if reply.type != RETURN and reply.error not in errors:
                errors.add(reply.error)
                print('error ' + reply.error, flush=True)
            if answered == 100:
                print('answered', flush=True)
                answered = 0
    return True


while True:
    try:
        if serve():
            break
    except TimeoutError:
        raise  # each call must come to an end
    except (Closed, OSError):
        time.sleep(0.01)  # nothing tells when somebody listens again
