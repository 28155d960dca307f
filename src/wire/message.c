/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a message: made empty to be filled, or from a frame to be read; sealed, owned, freed; and
 * its accessors. Called by the runtime for each message, so a small one costs one malloc(). Must never do
 * I/O except on the memfd of a large body. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "wire/message-private.h"

static arbiter_message *message_allocate(void) {
        arbiter_message *m = malloc(sizeof(*m));

        if (!m)
                return NULL;
        memset(m, 0, offsetof(arbiter_message, p.command));
        m->n_ref = 1;
        return m;
}

_public_ int arbiter_message_new(arbiter_message **ret) {
        arbiter_message *m = message_allocate();

        if (!m)
                return -ENOMEM;
        m->p.command[0] = 0;
        m->p.signature[0] = 0;
        m->envelope.command = m->p.command;
        m->envelope.signature = m->p.signature;
        m->envelope.deadline = UINT64_MAX;
        m->body = (uint8_t *) m->p.inline_body;
        m->p.frame.end = BODY_SIZE_MAX;
        *ret = m;
        return 0;
}

_public_ arbiter_message *arbiter_message_ref(arbiter_message *m) {
        if (m)
                m->n_ref++;
        return m;
}

static void release_body(arbiter_message *m) {
        if (m->p.body_mapped)
                (void) munmap(m->body, m->envelope.body_size);
        else if (m->p.body_allocated > 0)
                free(m->body);
}

_public_ arbiter_message *arbiter_message_unref(arbiter_message *m) {
        if (!m || --m->n_ref > 0)
                return NULL;

        if (m->context_free)
                m->context_free(m);
        release_body(m);
        if (m->fds) {
                close_many(m->fds, m->envelope.n_fds);
                free(m->fds);
        }
        free(m->p.stack);
        free(m->p.owned_chain);
        free(m->p.owned_command);
        free(m);
        return NULL;
}

int message_need_stack(arbiter_message *m) {
        if (!m->p.stack)
                m->p.stack = malloc(sizeof(*m->p.stack));
        return m->p.stack ? 0 : -ENOMEM;
}

int message_push(arbiter_message *m, const struct message_frame *f) {
        int r;

        if (m->p.depth >= BODY_DEPTH_MAX)
                return -E2BIG;
        r = message_need_stack(m);
        if (r < 0)
                return r;
        m->p.stack->frames[m->p.depth++] = m->p.frame;
        m->p.frame = *f;
        return 0;
}

void message_rewind_all(arbiter_message *m) {
        m->p.depth = 0;
        m->p.cursor = 0;
        m->p.frame = (struct message_frame){
                .length = m->envelope.signature_length,
                .end = m->envelope.body_size,
        };
}

int message_seal(arbiter_message *m) {
        if (m->sealed)
                return 0;
        if (m->p.depth > 0)
                return -EBADMSG;
        m->sealed = true;
        message_rewind_all(m);
        return 0;
}

/* The descriptor is private once it is mapped: what was checked by the seals cannot change any more. */
static int map_body(arbiter_message *m, int fd) {
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        struct stat st;
        void *p;
        int r;

        r = fcntl(fd, F_GET_SEALS);
        if (r < 0 || (r & seals) != seals)
                return -EBADMSG;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size != (off_t) m->envelope.body_size || st.st_size == 0)
                return -EBADMSG;
        p = mmap(NULL, m->envelope.body_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        m->body = p;
        m->p.body_mapped = true;
        return 0;
}

static int take_fds(arbiter_message *m, const int *fds) {
        uint8_t n = m->envelope.n_fds;

        if (n == 0)
                return 0;
        m->envelope.n_fds = 0;
        m->fds = malloc(n * sizeof(int));
        if (!m->fds) {
                close_many(fds, n);
                return -ENOMEM;
        }
        memcpy(m->fds, fds, n * sizeof(int));
        m->envelope.n_fds = m->p.n_fds_allocated = n;
        return 0;
}

static int take_body(arbiter_message *m, const uint8_t *body) {
        if (m->envelope.flags & ENVELOPE_MEMFD) {
                _cleanup_close_ int fd = -EBADF;

                if (m->envelope.n_fds == 0)
                        return -EBADMSG;
                fd = m->fds[--m->envelope.n_fds];
                m->envelope.flags &= (uint8_t) ~ENVELOPE_MEMFD;
                return map_body(m, fd);
        }
        if (m->envelope.body_size > 0 && !body)
                return -EBADMSG;
        m->body = body ? (uint8_t *) body : (uint8_t *) m->p.inline_body;
        return 0;
}

int message_from_frame(
                const struct envelope *e, const uint8_t *body, const int *fds, arbiter_message **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = message_allocate();
        int r;

        if (!m) {
                close_many(fds, e->n_fds);
                return -ENOMEM;
        }
        m->envelope = *e;
        m->sealed = true;
        m->p.borrowed = true;
        r = take_fds(m, fds);
        if (r < 0)
                return r;
        r = take_body(m, body);
        if (r < 0)
                return r;
        r = body_validate(e->signature, e->signature_length, m->body, e->body_size, m->envelope.n_fds);
        if (r < 0)
                return r;
        m->p.frame.length = e->signature_length;
        m->p.frame.end = e->body_size;
        *ret = TAKE_PTR(m);
        return 0;
}

static int own_body(arbiter_message *m) {
        uint32_t size = m->envelope.body_size;
        uint8_t *p = (uint8_t *) m->p.inline_body;

        if (m->p.body_mapped)
                return 0;
        if (size > MESSAGE_INLINE_BODY) {
                p = malloc(size);
                if (!p)
                        return -ENOMEM;
                m->p.body_allocated = size;
        }
        if (size > 0)
                memmove(p, m->body, size); /* a body of nobody is inline already */
        m->body = p;
        return 0;
}

static int own_command(arbiter_message *m, const char *command, size_t length) {
        char *p = m->p.command;

        if (length >= MESSAGE_INLINE_COMMAND) {
                p = malloc(length + 1);
                if (!p)
                        return -ENOMEM;
        }
        memmove(p, command, length); /* it may be the inline one already */
        p[length] = 0;
        free(m->p.owned_command);
        m->p.owned_command = p == m->p.command ? NULL : p;
        m->envelope.command = p;
        m->envelope.command_length = (uint8_t) length;
        return 0;
}

int message_own(arbiter_message *m) {
        size_t chain_size = (size_t) m->envelope.n_chain * AID_SIZE;
        uint8_t *chain = NULL;
        int r;

        if (!m->p.borrowed)
                return 0;
        if (chain_size > 0) {
                chain = malloc(chain_size);
                if (!chain)
                        return -ENOMEM;
                memcpy(chain, m->envelope.chain, chain_size);
        }
        r = own_command(m, m->envelope.command, m->envelope.command_length);
        if (r >= 0)
                r = own_body(m);
        if (r < 0) {
                free(chain);
                return r;
        }
        m->envelope.chain = m->p.owned_chain = chain;
        memcpy(m->p.signature, m->envelope.signature, m->envelope.signature_length);
        m->p.signature[m->envelope.signature_length] = 0;
        m->envelope.signature = m->p.signature;
        m->p.borrowed = false;
        return 0;
}

int message_set_command(arbiter_message *m, const char *command) {
        size_t length = strnlen(command, UINT8_MAX + 1);

        if (length > UINT8_MAX || !command_is_valid(command, length))
                return -EINVAL;
        return own_command(m, command, length);
}

int message_body_to_memfd(arbiter_message *m) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!m->sealed)
                return -EPERM;
        fd = memfd_create("arbiter-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return negative_errno();
        r = write_all(fd, m->body, m->envelope.body_size);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return negative_errno();
        return TAKE_FD(fd);
}

int message_new_error(arbiter_outcome outcome, const char *name, const char *text, arbiter_message **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        if (!name)
                name = outcome_to_error_name(outcome);
        if (!name || outcome == ARBITER_OUTCOME_REPLY || !outcome_to_error_name(outcome))
                return -EINVAL;
        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        m->envelope.kind = ENVELOPE_ERROR;
        m->envelope.outcome = (uint8_t) outcome;
        r = message_set_command(m, name);
        if (r < 0)
                return r;
        if (text) {
                r = arbiter_message_append_basic(m, 's', text);
                if (r < 0)
                        return r;
        }
        r = message_seal(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

_public_ const char *arbiter_message_get_signature(arbiter_message *m) {
        return m->envelope.signature;
}

_public_ const char *arbiter_message_get_command(arbiter_message *m) {
        return m->envelope.command;
}

_public_ int arbiter_message_get_body(arbiter_message *m, const void **ret, size_t *ret_size) {
        if (!m->sealed)
                return -EPERM;
        *ret = m->body;
        *ret_size = m->envelope.body_size;
        return 0;
}

_public_ uint64_t arbiter_message_get_deadline(arbiter_message *m) {
        return m->envelope.deadline;
}

_public_ bool arbiter_message_expects_reply(arbiter_message *m) {
        return m->envelope.kind == ENVELOPE_REQUEST;
}

_public_ arbiter_outcome arbiter_message_get_outcome(arbiter_message *m) {
        return m->envelope.kind == ENVELOPE_ERROR ? (arbiter_outcome)m->envelope.outcome
                                                  : ARBITER_OUTCOME_REPLY;
}

_public_ const char *arbiter_message_get_error_name(arbiter_message *m) {
        if (m->envelope.kind != ENVELOPE_ERROR)
                return NULL;
        return m->envelope.command_length > 0 ? m->envelope.command :
                                                outcome_to_error_name((arbiter_outcome) m->envelope.outcome);
}

/* The body is valid by its signature, so that its first string is where it must be. */
_public_ const char *arbiter_message_get_error_text(arbiter_message *m) {
        if (m->envelope.kind != ENVELOPE_ERROR || !m->sealed || m->envelope.signature[0] != 's')
                return NULL;
        return (const char *) m->body + sizeof(uint32_t);
}

bool message_types_are_valid(const char *signature, size_t length) {
        char array[SIGNATURE_MAX + 2];

        if (length == 0 || *signature != '{')
                return signature_is_valid(signature, length);
        if (length > SIGNATURE_MAX - 1)
                return false;
        array[0] = 'a';
        memcpy(array + 1, signature, length);
        array[length + 1] = 0;
        return signature_is_single(array);
}
