/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place where the MESSAGE_ID of each notable event is. data/arbiter.catalog has a text for each;
 * a lint compares the two. Made by `systemd-id128 new`; an id, once released, never changes its meaning. */

#define MESSAGE_ACTOR_STARTED "21a1e6b4351f49f681adadf0e0fd4f80"
#define MESSAGE_ACTOR_REPLACED "cbfa90b1ec90497ea3cc77fa0f0cf51c"
#define MESSAGE_ACTOR_DIED "2890682cf3d343899a3d4661dad5ed22"
#define MESSAGE_ACTOR_STOPPED "8088399986b64bb1b48110aa51f5689d"
#define MESSAGE_ACTOR_START_FAILED "1405183a553b4fb1873afba37bde7334"
#define MESSAGE_ACTOR_SILENT "89700af476cc40e1b22c44a62002fea9"
#define MESSAGE_ACTOR_STUCK "22882646eb604668929b0b61d55241d0"
#define MESSAGE_ACTOR_BACKOFF "27a3cfaba62948909d35582523f8b4ba"
#define MESSAGE_ACTOR_GAVE_UP "30d7cbeb88ca483ea3260c850120656a"
#define MESSAGE_MONITOR_GAVE_UP "861c4f06be4242f28a571f6c27fbaf9d"
#define MESSAGE_MONITOR_SCALED "c8f1df453ff246b1b70c486e50b83954"
#define MESSAGE_RELOADED "630279fd8e694c58a9016b4d0a5a98ac"
#define MESSAGE_CONFIGURATION_REFUSED "960e994eb2ff447ea94f11e21c380817"
