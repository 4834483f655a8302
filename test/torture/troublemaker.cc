// SPDX-License-Identifier: Apache-2.0
#include "test/torture/troublemaker.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

namespace csnap::torture {

namespace {

constexpr std::size_t kNbds = 2;
constexpr int kStopMs = 20'000;  // SIGTERM takes no longer, whatever is wrong
constexpr std::uint64_t kVerifyEvery = 8;

}  // namespace

void Troublemaker::run() {
  for (std::uint64_t number = 1; !world_.stop; ++number) {
    for (std::uint64_t wait = 300 + below(2500); wait > 0 && !world_.stop; --wait) pause_ms(1);
    if (!all_alive()) return;
    make_trouble();
    if (number % kVerifyEvery == 0) administrator_.ask_for_verification();
  }
  all_alive();
}

std::string Troublemaker::counts() const {
  return std::to_string(kills_) + " kills of csnapd and " + std::to_string(stops_) +
         " orderly stops, " + std::to_string(nbd_kills_) + " kills of csnap-nbd, " +
         std::to_string(pulls_) + " pulled disks (csnapd ended by itself " +
         std::to_string(gave_up_) + " times, refused to start " + std::to_string(refused_) +
         " times, needed no restart " + std::to_string(went_on_) + " times)";
}

bool Troublemaker::all_alive() {
  Rig& rig = world_.rig();
  if (rig.server().ended()) world_.fail("csnapd ended by itself:\n" + rig.log_tail("csnapd.log"));
  for (std::size_t nbd = 0; nbd < kNbds; ++nbd)
    if (rig.nbd(nbd).ended())
      world_.fail("csnap-nbd ended by itself:\n" +
                  rig.log_tail("nbd" + std::to_string(nbd) + ".log"));
  return !world_.failed();
}

void Troublemaker::make_trouble() {
  const std::uint64_t dice = below(100);
  if (dice < 40 && !disks_.empty())
    pull();
  else if (dice < 70)
    restart_server();
  else if (dice < 90)
    restart_nbd();
  else
    restart_everything();
}

void Troublemaker::restart_server() {
  Rig& rig = world_.rig();
  world_.record_text("csnapd is ended");
  if (below(4) != 0) {
    rig.stop_server(SIGKILL);
    ++kills_;
  } else {
    stop_gently(false);
  }
  pause_ms(below(8) == 0 ? 3000 : below(300));
  world_.record_text("csnapd is started");
  rig.start_server();
  rig.wait_for_server();
}

void Troublemaker::restart_nbd() {
  const std::size_t nbd = below(kNbds);
  world_.record_text("csnap-nbd is killed");
  world_.nbd_goes(nbd);
  world_.rig().nbd(nbd).finish(SIGKILL);
  ++nbd_kills_;
  pause_ms(below(8) == 0 ? 3000 : below(300));
  world_.rig().start_nbd_again(nbd);
  world_.nbd_is_back(nbd);
}

void Troublemaker::end_nbds() {
  for (std::size_t nbd = 0; nbd < kNbds; ++nbd) {
    world_.nbd_goes(nbd);
    world_.rig().nbd(nbd).finish(SIGKILL);
    ++nbd_kills_;
  }
}

void Troublemaker::start_nbds() {
  for (std::size_t nbd = 0; nbd < kNbds; ++nbd) {
    if (world_.rig().nbd(nbd).running()) continue;
    world_.rig().start_nbd_again(nbd);
    world_.nbd_is_back(nbd);
  }
}

void Troublemaker::restart_everything() {
  world_.record_text("everything is killed");
  const bool server_first = below(2) == 0;
  if (server_first) world_.rig().stop_server(SIGKILL);
  end_nbds();
  if (!server_first) world_.rig().stop_server(SIGKILL);
  ++kills_;
  pause_ms(below(300));
  world_.rig().start_server();
  world_.rig().wait_for_server();
  start_nbds();
}

void Troublemaker::pull() {
  const PulledDisk* only = disks_[below(disks_.size())].get();
  auto way = static_cast<PulledDisk::Way>(below(3));
  while (!only->can(way)) way = static_cast<PulledDisk::Way>(below(3));
  const bool all = below(6) == 0;
  std::vector<PulledDisk*> pulled;
  for (const auto& disk : disks_)
    if ((all || disk.get() == only) && disk->can(way)) pulled.push_back(disk.get());
  ++pulls_;
  Rig& rig = world_.rig();
  world_.trouble_begins();
  rig.let_admin_fail(true);
  for (PulledDisk* disk : pulled) {
    world_.record_text(disk->name() + " is " + PulledDisk::name_of(way));
    disk->pull(way);
  }
  endure(way);
  for (PulledDisk* disk : pulled) disk->put_back();
  world_.record_text("the disks are back");
  if (rig.server().running() && !(below(2) == 0 && serves_on())) {
    if (below(2) == 0)
      stop_gently(true);
    else
      rig.stop_server(SIGKILL);
  }
  if (!rig.server().running()) rig.start_server();
  rig.wait_for_server();
  start_nbds();
  rig.let_admin_fail(false);
  world_.trouble_ends();
}

// While disks are away. After it nobody has them open, if that is needed to put them back.
void Troublemaker::endure(PulledDisk::Way way) {
  Rig& rig = world_.rig();
  pause_ms(50 + below(2000));
  if (below(4) == 0) {
    // An operator who thinks that a restart helps.
    if (below(2) == 0)
      stop_gently(true);
    else
      rig.stop_server(SIGKILL);
    rig.start_server();
    pause_ms(below(1500));
  }
  if (rig.server().running() && rig.server().ended()) {
    judge_end(rig.server().status(), true);
    const std::string log = rig.log_tail("csnapd.log");
    ++(log.rfind("csnapd: ready") == std::string::npos ? refused_ : gave_up_);
  }
  if (way != PulledDisk::Way::shut_down) return;
  if (below(2) == 0)
    stop_gently(true);
  else
    rig.stop_server(SIGKILL);
  end_nbds();
}

// Does it take new work again by itself?
bool Troublemaker::serves_on() {
  Rig& rig = world_.rig();
  if (rig.server().ended()) {
    judge_end(rig.server().status(), true);
    ++gave_up_;
    return false;
  }
  if (rig.admin({"create", "probe"}).code != 0) return false;
  if (rig.admin({"delete", "probe", "--force"}).code != 0) return false;
  ++went_on_;
  return true;
}

void Troublemaker::stop_gently(bool in_trouble) {
  Rig& rig = world_.rig();
  if (!rig.server().running()) return;
  const auto status = rig.stop_server_within(SIGTERM, kStopMs);
  ++stops_;
  if (status) return judge_end(*status, in_trouble);
  world_.fail("csnapd does not end after SIGTERM:\n" + rig.log_tail("csnapd.log"));
  rig.stop_server(SIGKILL);
}

void Troublemaker::judge_end(int status, bool in_trouble) {
  const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) <= (in_trouble ? 1 : 0);
  // Asked to stop while it was starting.
  const bool early = in_trouble && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
  if (!in_order && !early)
    world_.fail("csnapd ended with status " + std::to_string(status) + ":\n" +
                world_.rig().log_tail("csnapd.log"));
}

}  // namespace csnap::torture
