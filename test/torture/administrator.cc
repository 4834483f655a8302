// SPDX-License-Identifier: Apache-2.0
#include "test/torture/administrator.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "test/torture/nbd_client.h"

namespace csnap::torture {

namespace {

constexpr std::size_t kPiece = 256 << 10;

}  // namespace

bool verify(World& world, Volume& volume, std::size_t nbd, const char* when) {
  const std::string socket = world.rig().nbd_socket(nbd);
  auto client = NbdClient::connect_surely(socket, volume.name());
  std::vector<std::byte> data(kPiece);
  for (std::uint64_t offset = 0; offset < volume.model.size() && !world.failed();) {
    data.resize(std::min<std::size_t>(kPiece, volume.model.size() - offset));
    const std::uint64_t began_us = world.now_us();
    const int error = client->wait(client->read(offset, data));
    if (error != 0 && world.excused(began_us, nbd)) {
      pause_ms(20);
      if (!client->alive()) client = NbdClient::connect_surely(socket, volume.name());
      continue;
    }
    if (error != 0) {
      world.fail(std::string(when) + ": cannot read " + volume.name() + ": " + strerror(error));
      return false;
    }
    if (!world.same(volume, offset, data, when)) return false;
    offset += data.size();
  }
  return !world.failed();
}

bool verify_all(World& world, std::size_t nbd, const char* when) {
  if (!verify(world, *world.origin(), nbd, when)) return false;
  for (const auto& snapshot : world.snapshots())
    if (!verify(world, *snapshot, nbd, when)) return false;
  return true;
}

void Administrator::run() {
  while (!world_.stop) {
    if (wanted_.exchange(false)) verify_each();
    const auto snapshots = world_.snapshots();
    const std::uint64_t dice = random_() % 100;
    if (snapshots.size() < kMostSnapshots && (dice < 60 || snapshots.size() < 4)) {
      create();
    } else if (snapshots.size() >= 4 && dice < 85) {
      remove(snapshots[random_() % snapshots.size()]);
    } else if (!snapshots.empty()) {
      rename(*snapshots[random_() % snapshots.size()]);
    }
    pause_ms(random_() % 400);
  }
}

void Administrator::verify_each() {
  auto volumes = world_.snapshots();
  volumes.push_back(world_.origin());
  for (const auto& volume : volumes) {
    volume->gate.close();
    verify(world_, *volume, random_() % 2, "between times");
    volume->gate.open();
    if (world_.stop) return;
  }
  ++verified;
}

void Administrator::create() {
  const std::uint64_t number = ++created;
  const std::string name = "s" + std::to_string(number);
  world_.origin()->gate.close();
  world_.record_text("create " + name + " begins");
  world_.rig().admin_surely({"create", name});
  world_.record_text("create " + name + " ends");
  auto snapshot = std::make_shared<Volume>(number, name, world_.origin()->model);
  snapshot->doubts.take(world_.origin()->doubts);
  world_.origin()->gate.open();
  world_.add(std::move(snapshot));
}

void Administrator::remove(const std::shared_ptr<Volume>& snapshot) {
  // Half of them are taken away in the middle of requests.
  const bool gently = random_() % 2 == 0;
  if (gently) {
    snapshot->gate.close();
    if (random_() % 2 == 0) verify(world_, *snapshot, random_() % 2, "before its deletion");
  }
  snapshot->doomed = true;
  world_.remove(snapshot);
  world_.record_text("delete " + snapshot->name() + " begins");
  world_.rig().admin_surely({"delete", snapshot->name(), "--force"});
  world_.record_text("delete " + snapshot->name() + " ends");
  if (!gently) snapshot->gate.close();
  snapshot->gone = true;
  snapshot->gate.open();
  ++deleted;
}

void Administrator::rename(Volume& snapshot) {
  const std::lock_guard lock(snapshot.name_mutex);
  const std::string name = "r" + std::to_string(++renamed);
  world_.rig().admin_surely({"rename", snapshot.name(), name});
  snapshot.set_name(name);
  world_.record_text("renamed one to " + name);
}

}  // namespace csnap::torture
