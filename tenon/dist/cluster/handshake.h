// Handshake: how two workers make sure of each other when one has connected to the other.
//
// Both say who they are and send 32 random bytes. Where the cluster has a secret, first the caller
// proves that it knows it, by HMAC-SHA256 over all that was said, then the one who was called; the
// secret itself is never sent. Only then are index, cluster and build compared, and the caller
// admitted or refused with a sentence. What follows on the connection is neither encrypted nor
// signed.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/dist/cluster/cluster.h"
#include "tenon/dist/cluster/socket.h"

namespace tenon::dist {

struct Identity {
  int rank = 0;
  std::string workers;  // those of the cluster, which all must have been told alike
  std::string build;    // "0.5.0 (5e1c90ab)"
  std::string secret;   // empty: none
  std::string run;      // what the chief named this run; empty: it has not yet
};

// Of the one who connected to worker `callee`. FAILED_PRECONDITION when it refuses, or is not to be
// trusted; UNAVAILABLE or DEADLINE_EXCEEDED when it is not to be had.
Status introduce(const Socket& socket, const Identity& own, int callee, Deadline deadline);

// Of the other one: returns the caller's rank. What `admit` says of it is told to the caller.
StatusOr<int> receive_caller(const Socket& socket, const Identity& own,
                             FunctionRef<Status(int rank)> admit, Deadline deadline);

// One message of texts, together at most 4 KiB.
Status send_texts(const Socket& socket, std::span<const std::string> texts, Deadline deadline);
// INVALID_ARGUMENT when it is none of `count` texts.
StatusOr<std::vector<std::string>> receive_texts(const Socket& socket, size_t count,
                                                 Deadline deadline);

// 32 of them, from the system.
StatusOr<std::string> random_bytes();

}  // namespace tenon::dist
