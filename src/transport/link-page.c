/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes, checks and maps the shared page of a link. The arbiter (or whoever makes a link) creates it, both
 * ends map it. A descriptor from a peer is never mapped before its seals and size are known: what could
 * shrink would be SIGBUS. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "transport/link-page.h"

/* A constant, not the machine's page size: both ends must agree on it, and larger pages hold it, too. */
enum { LINK_PAGE_SIZE = 4096, LINK_PAGE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

_Static_assert(sizeof(struct link_page_side) == 256, "a side of the page is shared between processes");
_Static_assert(sizeof(struct link_page) <= LINK_PAGE_SIZE, "the page must hold both sides");

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

int link_page_create(int *ret_fd) {
        _cleanup_close_ int fd = -EBADF;

        fd = memfd_create("arbiter-link", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL) /* kernel < 6.3 */
                fd = memfd_create("arbiter-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return negative_errno();
        if (ftruncate(fd, LINK_PAGE_SIZE) < 0)
                return negative_errno();
        if (fcntl(fd, F_ADD_SEALS, LINK_PAGE_SEALS) < 0)
                return negative_errno();

        *ret_fd = TAKE_FD(fd);
        return 0;
}

int link_page_grant(int fd, unsigned side, uint64_t messages, uint64_t bytes) {
        const uint64_t grant[2] = { messages, bytes };
        const size_t at = side * sizeof(struct link_page_side) +
                          offsetof(struct link_page_side, granted_messages);

        _Static_assert(offsetof(struct link_page_side, granted_bytes) ==
                                        offsetof(struct link_page_side, granted_messages) + sizeof(uint64_t),
                        "they are written at once");
        return pwrite(fd, grant, sizeof(grant), (off_t) at) == (ssize_t) sizeof(grant) ? 0
                                                                                       : negative_errno();
}

int link_page_map(int fd, struct link_page **ret) {
        struct stat st;
        void *p;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0)
                return errno == EINVAL ? -EBADMSG : negative_errno(); /* not a memfd */
        if ((seals & LINK_PAGE_SEALS) != LINK_PAGE_SEALS)
                return -EBADMSG;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size != LINK_PAGE_SIZE)
                return -EBADMSG;

        p = mmap(NULL, LINK_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        *ret = p;
        return 0;
}

int link_page_map_local(struct link_page **ret) {
        void *p = mmap(NULL, LINK_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return negative_errno();
        *ret = p;
        return 0;
}

struct link_page *link_page_unmap(struct link_page *page) {
        if (page)
                (void) munmap(page, LINK_PAGE_SIZE);
        return NULL;
}
