// SPDX-License-Identifier: Apache-2.0
// What the engine says to administrators, as messages.
// Threading: any. Texts are cleaned and cut so that they fit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/csnap.pb.h"
#include "server/engine.h"

namespace csnap {

constexpr std::size_t kMaxReplyText = 512;  // bytes, of a label or a failure

// clients: that have it open.
void fill(const Snapshot& snapshot, std::uint64_t clients, wire::SnapshotInfo& out);
// All but what only the service knows.
void fill(const EngineStatus& status, wire::GetStatusReply& out);
void fill(const Engine::DumpPage& page, wire::DumpExceptionsReply& out);
void fill(const Engine::CheckPage& page, wire::CheckStoreReply& out);
void fill(const Engine::TreePage& page, wire::DumpTreeReply& out);
void fill(const Engine::SpacePage& page, wire::MapSpaceReply& out);

}  // namespace csnap
