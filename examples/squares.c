/* SPDX-License-Identifier: MIT-0 */
/* squares: the smallest module, for arbiterd to run (squares.monitor). Build it as a shared object and
 * link it with libarbiter:
 *         cc -shared -fPIC -o squares.so squares.c $(pkg-config --cflags --libs libarbiter) */

#include <arbiter/arbiter.h>
#include <errno.h>

/* By the time it is called, the arguments have the command's signature: one int64. */
static int square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n, result;
        int r;

        r = arbiter_message_read(m, "x", &n);
        if (r < 0)
                return r; /* becomes bad-arguments at the caller */
        if (__builtin_mul_overflow(n, n, &result))
                return -ERANGE; /* any other error: the application error System.Error.ERANGE */
        return arbiter_message_reply(m, "x", result);
}

static const arbiter_command commands[] = {
        /* name, arguments and their names, result and its name, handler, flags: what "arbiterctl
         * introspect" shows */
        ARBITER_COMMAND("square", "x", "n", "x", "result", square, 0),
        ARBITER_COMMANDS_END,
};

ARBITER_MODULE(.name = "squares", .description = "Squares numbers", .commands = commands);
