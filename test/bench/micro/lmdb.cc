// SPDX-License-Identifier: Apache-2.0
// The peer: LMDB, in memory, as fast as it goes. Keys are integers of 8 bytes, which it compares as
// such; values are 16 bytes, a place and a mask; kBatch operations are one transaction.
#include <benchmark/benchmark.h>
#include <lmdb.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "test/bench/micro/load.h"

namespace csnap::bench {
namespace {

void must(int error) {
  if (error == 0) return;
  std::fprintf(stderr, "LMDB: %s\n", mdb_strerror(error));
  std::abort();
}

class Lmdb {
 public:
  Lmdb() {
    char folder[] = "/dev/shm/csnap-lmdb.XXXXXX";
    if (mkdtemp(folder) == nullptr) std::abort();
    folder_ = folder;
    must(mdb_env_create(&env_));
    must(mdb_env_set_mapsize(env_, std::size_t{8} << 30));
    must(mdb_env_open(env_, folder, MDB_NOSYNC | MDB_WRITEMAP, 0600));
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(env_, nullptr, 0, &txn));
    must(mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY, &table_));
    must(mdb_txn_commit(txn));
  }
  ~Lmdb() {
    mdb_env_close(env_);
    std::filesystem::remove_all(folder_);
  }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  template <class ChunkOf>
  void insert_batch(ChunkOf chunk_of) {
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(env_, nullptr, 0, &txn));
    for (std::uint64_t end = size_ + kBatch; size_ < end; ++size_) {
      std::uint64_t key = chunk_of(size_);
      std::array<std::uint64_t, 2> value{size_, mask_of(size_)};
      MDB_val k{sizeof key, &key}, v{sizeof value, value.data()};
      must(mdb_put(txn, table_, &k, &v, 0));
    }
    must(mdb_txn_commit(txn));
  }

  void lookup_batch(Choices& choices) {
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn));
    for (std::size_t i = 0; i < kBatch; ++i) {
      std::uint64_t key = choices.next();
      MDB_val k{sizeof key, &key}, v{};
      must(mdb_get(txn, table_, &k, &v));
      benchmark::DoNotOptimize(*static_cast<const volatile std::uint64_t*>(v.mv_data));
    }
    mdb_txn_abort(txn);
  }

  std::uint64_t size() const { return size_; }

 private:
  std::filesystem::path folder_;
  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
  std::uint64_t size_ = 0;
};

std::uint64_t ascending(std::uint64_t i) {
  return i;
}

void lookup_random(benchmark::State& state) {
  Lmdb& table = full<Lmdb, random_chunk>();
  Choices choices;
  for (auto _ : state) table.lookup_batch(choices);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}

template <auto chunk_of>
void insert(benchmark::State& state) {
  Lmdb& table = full<Lmdb, chunk_of>();
  for (auto _ : state) table.insert_batch(chunk_of);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}

BENCHMARK(lookup_random)->Name("lmdb/lookup/random")->Iterations(4000);
BENCHMARK(insert<random_chunk>)->Name("lmdb/insert/random")->Iterations(2000);
BENCHMARK(insert<ascending>)->Name("lmdb/insert/sequential")->Iterations(4000);

}  // namespace
}  // namespace csnap::bench
