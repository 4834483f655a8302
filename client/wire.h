// SPDX-License-Identifier: Apache-2.0
// Between the messages of proto/csnap.proto and the client's own values. What comes from the wire
// is checked here: anything that makes no sense is corrupt, and nothing behind this trusts a
// message.
#pragma once

#include <span>
#include <vector>

#include "client/mapping.h"
#include "proto/convert.h"
#include "proto/csnap.pb.h"
#include "store/status.h"

namespace csnap {

// Of a session on a volume.
Result<SessionInfo> session_from_wire(const wire::Welcome& welcome);

// Pieces that cover exactly the ranges asked for, in order.
Result<std::vector<ReadSource>> sources_from_wire(const wire::SnapshotReadReply& reply,
                                                  std::span<const ChunkRun> asked);
// asked: the chunks that SnapshotRead.ahead spoke of.
Result<std::vector<ReadSource>> ahead_from_wire(const wire::SnapshotReadReply& reply,
                                                ChunkRun asked);
Result<std::vector<WriteTarget>> targets_from_wire(const wire::SnapshotWriteReply& reply,
                                                   std::span<const ChunkRun> asked);
// The spare places of a reply.
Result<std::vector<StoreRun>> spares_from_wire(const wire::SnapshotWriteReply& reply);
Result<CopyTask> copy_from_wire(const wire::Copy& copy, const SessionInfo& session);
void finished_to_wire(std::span<const FinishedRun> runs, wire::FinishWrite& message);

}  // namespace csnap
