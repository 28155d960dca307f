/* SPDX-License-Identifier: MIT-0 */
/* primes: a service of systemd's whose instances are actors. primes@.service is a template as any other,
 * with the sandbox that its administrator likes; primes.monitor has arbiterd run as many instances of it
 * as are needed, and this program comes to the arbiter by itself. Started by hand it says so, and ends.
 *         cc -o primes primes.c $(pkg-config --cflags --libs libarbiter) */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int is_prime(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t n;
        int r;

        r = arbiter_message_read(m, "u", &n);
        if (r < 0)
                return r;
        for (uint32_t i = 2; (uint64_t) i * i <= n; i++)
                if (n % i == 0)
                        return arbiter_message_reply(m, "b", 0);
        return arbiter_message_reply(m, "b", n > 1);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("is_prime", "u", "n", "b", "result", is_prime, 0),
        ARBITER_COMMANDS_END,
};

static const arbiter_module primes = { ARBITER_MODULE_HEAD, .name = "primes", .commands = commands };

int main(void) {
        int r = arbiter_actor_main(&primes);

        if (r == -ENOTCONN)
                fprintf(stderr, "primes: no arbiter has asked for this: see primes.monitor\n");
        else if (r < 0)
                fprintf(stderr, "primes: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
