// SPDX-License-Identifier: Apache-2.0
// Copies that clients make: offered, ordered, reported.
#include "proto/text.h"
#include "server/service_impl.h"

namespace csnap {
namespace {

constexpr std::size_t kMaxCopyReason = 512;  // bytes
constexpr int kMaxListed = 1024;

}  // namespace

// What a session reads makes nobody copy.
bool Service::Impl::asks_for_copies(const Channel& c, const Session& s) const {
  if (s.read_only) return false;
  return options.client_copies == ClientCopyPolicy::on ||
         (options.client_copies == ClientCopyPolicy::elsewhere && !c.local);
}

void Service::Impl::on_offer_copies(Channel& c, Session& s, const Frame& f) {
  const auto* m = parse<wire::OfferCopies>(c, f);
  if (m == nullptr) return;
  if (!asks_for_copies(c, s))
    return refuse(c, f.header.request_id,
                  Status(Code::invalid, "this session is not asked for copies"));
  if (s.uploading)
    return refuse(c, f.header.request_id,
                  Status(Code::invalid, "OFFER_COPIES must wait until UPLOAD_DONE is answered"));
  if (m->under_way().size() > kMaxListed)
    return refuse(c, f.header.request_id,
                  Status(Code::invalid, "more copies under way than a session is asked for"));
  if (draining) return;
  const std::vector<CopyId> under_way(m->under_way().begin(), m->under_way().end());
  engine->offer_copies(s.key, under_way);
}

void Service::Impl::copy(ClientKey key, const CopyOrder& order) {
  const Session* s = session(key);
  // Lost while the server stops: the engine does it when it is closed.
  if (s == nullptr || s->channel == nullptr) return;
  wire::Copy m;
  m.set_copy_id(order.id);
  m.set_from_origin(order.from_origin);
  m.set_from(order.from);
  m.set_count(order.to.count);
  m.set_store_chunk(order.to.start.value);
  m.mutable_crcs()->Add(order.crcs.begin(), order.crcs.end());
  push(*s->channel, wire::MESSAGE_COPY, m);
}

void Service::Impl::on_copy_done(Channel& c, Session& s, const Frame& f) {
  const auto* m = parse<wire::CopyDone>(c, f);
  if (m == nullptr) return;
  Result<std::vector<std::uint32_t>> crcs =
      m->error().empty() ? Result(std::vector<std::uint32_t>(m->crcs().begin(), m->crcs().end()))
                         : Status(Code::io_error, clean_utf8(m->error(), kMaxCopyReason));
  const Status taken = engine->copied(s.key, m->copy_id(), std::move(crcs));
  if (!taken.ok()) refuse(c, f.header.request_id, taken);
}

}  // namespace csnap
