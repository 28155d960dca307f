/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "arbiterd/config.h"

#define LISTEN_ERROR_SIZE 320

/* What is in the way of listening there, and what helps, as sentences behind the error: "" or ". ...". */
void listen_error_explain(const struct actor_config *a, const struct config_socket *s, int error,
                          char ret[static LISTEN_ERROR_SIZE]);
