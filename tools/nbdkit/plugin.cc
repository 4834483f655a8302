// SPDX-License-Identifier: Apache-2.0
// The nbdkit plugin: glue between nbdkit's callbacks and csnap::Volume. Every connection is a
// shared Volume; nbdkit calls in from many threads at once, which a Volume is made for.
#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <sys/prctl.h>

#include "store/open_device.h"
#include "tools/nbdkit/exports.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace {

using csnap::Code;
using csnap::Status;

struct Connection {
  std::shared_ptr<csnap::Volume> volume;
};

csnap::SharedVolumes::Settings settings;
std::string announcement;
std::unique_ptr<csnap::Exports> exports;

int errno_of(Code code) {
  switch (code) {
    case Code::no_space:
      return ENOSPC;
    case Code::stale:
    case Code::not_found:
      return ESHUTDOWN;  // NBD has no ESTALE; this is its word for an export that is gone
    case Code::denied:
      return EPERM;
    case Code::invalid:
    case Code::out_of_range:
      return EINVAL;
    case Code::unsupported:
      return ENOTSUP;
    default:
      return EIO;
  }
}

int finish(const Status& status) {
  if (status.ok()) return 0;
  nbdkit_error("%s", status.to_string().c_str());
  nbdkit_set_error(errno_of(status.code()));
  return -1;
}

csnap::Volume& volume_of(void* handle) {
  return *static_cast<Connection*>(handle)->volume;
}

csnap::WriteFlags flags_of(uint32_t flags) {
  return {.fua = (flags & NBDKIT_FLAG_FUA) != 0};
}

int csnap_config(const char* key, const char* value) {
  const std::string name = key;
  if (name == "server") {
    settings.servers.emplace_back(value);
  } else if (name == "origin" || name == "store") {
    std::string& out = name == "origin" ? settings.origin_path : settings.store_path;
    if (csnap::names_block_tree(value)) {
      out = csnap::absolute_device_name(value);
      return 0;
    }
    char* path = nbdkit_realpath(value);
    if (path == nullptr) return -1;
    out = path;
    free(path);
  } else if (name == "announce") {
    announcement = value;
  } else {
    nbdkit_error("unknown parameter '%s'", key);
    return -1;
  }
  return 0;
}

// Says at once what is wrong with the server's address, not when the first client comes.
int csnap_get_ready() {
  csnap::Exports probe(settings);
  if (auto list = probe.list(); !list.ok()) return finish(list.status());
  return 0;
}

// Not before nbdkit has gone to the background: threads do not survive that. The socket listens by
// now.
int csnap_after_fork() {
  exports = std::make_unique<csnap::Exports>(settings);
  if (announcement.empty()) return 0;
  // Debian's nbdkit asks to be ended with its parent whenever it stays in the foreground. csnap-nbd
  // is a server: it outlives the shell or script that started it.
  ::prctl(PR_SET_PDEATHSIG, 0);
  std::fprintf(stderr, "%s\n", announcement.c_str());
  return 0;
}

void csnap_unload() {
  exports.reset();
#ifdef CSNAP_LEAVE_AT_ONCE
  // A build with a sanitizer: nbdkit's libraries, which are not, can hang in their own last rites.
  _exit(0);
#endif
}

int csnap_list_exports(int, int, struct nbdkit_exports* out) {
  auto list = exports->list();
  if (!list.ok()) return finish(list.status());
  for (const auto& entry : *list)
    if (nbdkit_add_export(out, entry.name.c_str(), entry.description.c_str()) != 0) return -1;
  return 0;
}

const char* csnap_default_export(int, int) {
  return "origin";
}

void* csnap_open(int read_only) {
  const char* name = nbdkit_export_name();
  if (name == nullptr) return nullptr;
  auto volume = exports->open(*name == '\0' ? "origin" : name, read_only != 0);
  if (!volume.ok()) {
    static_cast<void>(finish(volume.status()));
    return nullptr;
  }
  return new Connection{std::move(volume).value()};
}

void csnap_close(void* handle) {
  delete static_cast<Connection*>(handle);
}

const char* csnap_export_description(void* handle) {
  const csnap::Volume& volume = volume_of(handle);
  return nbdkit_strdup_intern(volume.is_origin()
                                  ? "the origin volume"
                                  : ("snapshot, id " + std::to_string(volume.id())).c_str());
}

int64_t csnap_get_size(void* handle) {
  return static_cast<int64_t>(volume_of(handle).size());
}

int csnap_block_size(void* handle, uint32_t* minimum, uint32_t* preferred, uint32_t* maximum) {
  *minimum = 1;
  // Whole chunks of a snapshot are overwritten without being copied first.
  *preferred = static_cast<uint32_t>(volume_of(handle).chunk_size());
  *maximum = 32u << 20;
  return 0;
}

int csnap_can_write(void* handle) {
  return volume_of(handle).read_only() ? 0 : 1;
}
int csnap_yes(void*) {
  return 1;
}
int csnap_no(void*) {
  return 0;
}
int csnap_can_fua(void*) {
  return NBDKIT_FUA_NATIVE;
}

int csnap_pread(void* handle, void* data, uint32_t count, uint64_t offset, uint32_t) {
  return finish(volume_of(handle).read(offset, {static_cast<std::byte*>(data), count}));
}

int csnap_pwrite(void* handle, const void* data, uint32_t count, uint64_t offset, uint32_t flags) {
  return finish(volume_of(handle).write(offset, {static_cast<const std::byte*>(data), count},
                                        flags_of(flags)));
}

int csnap_flush(void* handle, uint32_t) {
  return finish(volume_of(handle).flush());
}

int csnap_trim(void* handle, uint32_t count, uint64_t offset, uint32_t flags) {
  return finish(volume_of(handle).trim(offset, count, flags_of(flags)));
}

int csnap_zero(void* handle, uint32_t count, uint64_t offset, uint32_t flags) {
  return finish(volume_of(handle).zero(offset, count, flags_of(flags)));
}

int csnap_extents(void* handle, uint32_t count, uint64_t offset, uint32_t,
                  struct nbdkit_extents* out) {
  for (const auto& extent : volume_of(handle).block_status(offset, count)) {
    const uint32_t type =
        (extent.allocated ? 0 : NBDKIT_EXTENT_HOLE) | (extent.zero ? NBDKIT_EXTENT_ZERO : 0);
    if (nbdkit_add_extent(out, extent.offset, extent.length, type) != 0) return -1;
  }
  return 0;
}

struct nbdkit_plugin describe_plugin() {
  struct nbdkit_plugin p = {};
  p.name = "csnap";
  p.longname = "csnap volumes and their snapshots";
  p.version = CSNAP_VERSION;
  p.description = "serves the origin volume and the snapshots of a csnapd";
  p.config_help =
      "server=ADDRESS     unix:PATH or HOST:PORT of csnapd; may be repeated.\n"
      "origin=PATH        where the origin volume is here, if not where csnapd has it.\n"
      "store=PATH         where the snapshot store is here, likewise.\n"
      "announce=TEXT      a line to print to stderr when clients can connect.";
  p.magic_config_key = "server";
  p.config = csnap_config;
  p.get_ready = csnap_get_ready;
  p.after_fork = csnap_after_fork;
  p.unload = csnap_unload;
  p.list_exports = csnap_list_exports;
  p.default_export = csnap_default_export;
  p.open = csnap_open;
  p.close = csnap_close;
  p.export_description = csnap_export_description;
  p.get_size = csnap_get_size;
  p.block_size = csnap_block_size;
  p.can_write = csnap_can_write;
  p.can_flush = csnap_yes;
  p.can_trim = csnap_yes;
  p.can_zero = csnap_yes;
  p.can_fast_zero = csnap_no;
  p.can_extents = csnap_yes;
  p.can_multi_conn = csnap_yes;
  p.can_fua = csnap_can_fua;
  p.pread = csnap_pread;
  p.pwrite = csnap_pwrite;
  p.flush = csnap_flush;
  p.trim = csnap_trim;
  p.zero = csnap_zero;
  p.extents = csnap_extents;
  return p;
}

struct nbdkit_plugin plugin = describe_plugin();

}  // namespace

NBDKIT_REGISTER_PLUGIN(plugin)
