// SPDX-License-Identifier: Apache-2.0
// Noticing that whoever is at the other end of a connection has vanished: its machine or the
// network, for when a program ends, the kernel says so. Needed where nothing else would ever say
// it, as a lease does.
//
// Threading: any. Errors: none; a socket that cannot do this (a Unix one need not) is let be.
#pragma once

namespace csnap {

// From now on a connection on which nothing is under way ends within about half a minute of the
// peer's end: reading says so.
void notice_vanished_peer(int socket);

// What that does not see: bytes are under way, or wait for room over there, and for about half a
// minute the peer has acknowledged nothing, although it was asked. (TCP_USER_TIMEOUT would
// also end the connection to a peer that is there and takes its time.)
bool peer_is_silent(int socket);

}  // namespace csnap
