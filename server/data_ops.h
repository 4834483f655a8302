// SPDX-License-Identifier: Apache-2.0
// The requests of the data path, each in a file of its own. The ranges have been checked: within
// the volume, no empty one, not too many chunks.
#pragma once

#include <utility>
#include <vector>

#include "server/engine_impl.h"
#include "server/op.h"

namespace csnap {

// Grants what needs no waiting: the usual case, without an op. false: start it.
bool grant_at_once(Engine::Impl& engine, std::span<const ChunkRun> ranges);
void start_origin_write(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                        Engine::Done done);
void start_snapshot_read(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                         Engine::ReadDone done, std::uint64_t ahead);
void start_snapshot_write(Engine::Impl& engine, ClientState& client, std::vector<ChunkRun> ranges,
                          bool overwrite, Engine::WriteDone done);
void start_finish_write(Engine::Impl& engine, ClientState& client, std::vector<WrittenRun> runs,
                        Engine::Done done);
void start_check(Engine::Impl& engine, const Engine::CheckRequest& request,
                 std::function<void(Result<Engine::CheckPage>)> done);
void start_dump(Engine::Impl& engine, Chunk from, std::size_t limit,
                std::function<void(Result<Engine::DumpPage>)> done);
void start_dump_tree(Engine::Impl& engine, Chunk from, std::size_t limit,
                     std::function<void(Result<Engine::TreePage>)> done);
void start_map_space(Engine::Impl& engine, std::uint64_t from, std::size_t limit,
                     std::function<void(Result<Engine::SpacePage>)> done);

}  // namespace csnap
