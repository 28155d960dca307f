/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One interface of a D-Bus introspection document as sorted lines, so that two documents can be compared:
 * comments, order of members and defaults that are written out make no difference. To be freed. */
char *bus_xml_normalise(const char *document, const char *interface);
