// SPDX-License-Identifier: Apache-2.0
// Names, folders, attributes.
#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "tools/common/handle.h"
#include "tools/fuse/file_system.h"

namespace csnap {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // of st_blocks
constexpr std::string_view kAttributePrefix = "user.csnap.";

timespec time_of(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

void set_times(struct stat& out, std::uint64_t ns) {
  out.st_mtim = out.st_ctim = out.st_atim = time_of(ns);
}

struct stat folder_attributes(NodeId node, const Admin::SnapshotList& list) {
  struct stat out {};
  out.st_ino = inode_of(node);
  out.st_mode = S_IFDIR | 0555;
  out.st_nlink = node == kRootNode ? 4 : 2;
  std::uint64_t newest = 0;
  for (const auto& entry : list.snapshots) newest = std::max(newest, entry.created_ns);
  set_times(out, newest);
  return out;
}

struct stat volume_attributes(NodeId node, std::uint64_t size, std::uint64_t chunk_size,
                              bool read_only) {
  struct stat out {};
  out.st_ino = inode_of(node);
  out.st_mode = S_IFREG | (read_only ? 0400u : 0600u);
  out.st_nlink = 2;  // by name and by id
  out.st_size = static_cast<off_t>(size);
  out.st_blksize = static_cast<blksize_t>(chunk_size);
  out.st_blocks = static_cast<blkcnt_t>((size + kSectorBytes - 1) / kSectorBytes);
  out.st_uid = ::getuid();
  out.st_gid = ::getgid();
  return out;
}

// ---- names ----

Result<NodeId> by_name(FileSystem& fs, const std::string& name) {
  CSNAP_ASSIGN(const auto found, fs.snapshots.find(name));
  if (!found) return Status(Code::not_found, "there is no snapshot " + name);
  return node_of(found->id);
}

Result<NodeId> by_id(FileSystem& fs, const std::string& name) {
  std::uint64_t id = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, id);
  const Status none(Code::not_found, "there is no volume " + name);
  // One name each: no leading zeros.
  if (error != std::errc() || stop != end || name != std::to_string(id)) return none;
  if (id == kOriginVolume) return node_of(id);
  const auto found = fs.snapshots.find(id);
  if (found.status().code() == Code::stale) return none;
  if (!found.ok()) return found.status();
  return node_of(id);
}

Result<NodeId> child_of(FileSystem& fs, NodeId parent, const std::string& name) {
  // Who has a handle and nothing else asks so, for whatever it names.
  if (name == ".") return parent;
  if (name == "..")
    return is_volume(parent) && parent != node_of(kOriginVolume) ? kSnapshotsNode : kRootNode;
  if (parent == kRootNode) {
    if (name == "origin") return node_of(kOriginVolume);
    if (name == "snapshots") return kSnapshotsNode;
    if (name == "by-id") return kByIdNode;
  }
  if (parent == kSnapshotsNode) return by_name(fs, name);
  if (parent == kByIdNode) return by_id(fs, name);
  return Status(Code::not_found, "there is no " + name);
}

void csnap_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  FileSystem& fs = file_system_of(request);
  const auto node = child_of(fs, parent, name);
  if (!node.ok()) return reply_status(request, node.status());
  const auto attributes = fs.attributes(*node);
  if (!attributes.ok()) return reply_status(request, attributes.status());
  fuse_entry_param entry{};
  entry.ino = *node;
  entry.generation = fs.generation;
  entry.attr = *attributes;
  entry.attr_timeout = kBelieveAttributes;
  entry.entry_timeout = parent == kRootNode ? kBelieveFixedNames : 0;
  fuse_reply_entry(request, &entry);
}

// ---- attributes ----

void csnap_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  const auto attributes = file_system_of(request).attributes(node);
  if (!attributes.ok()) return reply_status(request, attributes.status());
  fuse_reply_attr(request, &*attributes, kBelieveAttributes);
}

// Volumes are as large as they are, and whose they are; that somebody touched one is not kept.
void csnap_setattr(fuse_req_t request, fuse_ino_t node, struct stat* wanted, int what,
                   fuse_file_info* file) {
  const auto attributes = file_system_of(request).attributes(node);
  if (!attributes.ok()) return reply_status(request, attributes.status());
  if ((what & FUSE_SET_ATTR_SIZE) != 0 && wanted->st_size != attributes->st_size)
    return static_cast<void>(fuse_reply_err(request, EPERM));
  if ((what & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0)
    return static_cast<void>(fuse_reply_err(request, EPERM));
  csnap_getattr(request, node, file);
}

constexpr const char* kAttributeNames[] = {"id",      "uuid",      "handle",
                                           "created", "exclusive", "shared"};

// not_found: it has no such attribute.
Result<std::string> extended_attribute(FileSystem& fs, NodeId node, std::string_view name) {
  const Status none(Code::not_found, "no such attribute");
  if (!is_volume(node) || name.substr(0, kAttributePrefix.size()) != kAttributePrefix) return none;
  name.remove_prefix(kAttributePrefix.size());
  const std::uint64_t id = volume_of(node);
  if (name == "id") return std::to_string(id);
  if (name == "handle") return to_string(VolumeHandle{fs.store, id});
  if (id == kOriginVolume && name == "uuid") return fs.store.to_string();
  if (id == kOriginVolume) return none;
  CSNAP_ASSIGN(const auto snapshot, fs.snapshots.find(id));
  if (name == "uuid") return snapshot.uuid.to_string();
  if (name == "created") return std::to_string(snapshot.created_ns);
  if (name != "exclusive" && name != "shared") return none;
  CSNAP_ASSIGN(const auto usage, fs.contents.usage(snapshot));
  return std::to_string(name == "shared" ? usage.shared : usage.exclusive);
}

void reply_bytes(fuse_req_t request, const std::string& bytes, std::size_t room) {
  if (room == 0)
    fuse_reply_xattr(request, bytes.size());
  else if (bytes.size() > room)
    fuse_reply_err(request, ERANGE);
  else
    fuse_reply_buf(request, bytes.data(), bytes.size());
}

void csnap_getxattr(fuse_req_t request, fuse_ino_t node, const char* name, size_t room) {
  const auto value = extended_attribute(file_system_of(request), node, name);
  if (value.status().code() == Code::not_found)
    return static_cast<void>(fuse_reply_err(request, ENODATA));
  if (!value.ok()) return reply_status(request, value.status());
  reply_bytes(request, *value, room);
}

void csnap_listxattr(fuse_req_t request, fuse_ino_t node, size_t room) {
  std::string names;
  for (const std::string_view name : kAttributeNames) {
    const bool all = is_volume(node) && volume_of(node) != kOriginVolume;
    const bool some = is_volume(node) && (name == "id" || name == "uuid" || name == "handle");
    if (!all && !some) continue;
    names += kAttributePrefix;
    names += name;
    names += '\0';
  }
  reply_bytes(request, names, room);
}

// ---- folders ----

struct FolderEntry {
  std::string name;
  NodeId node;
};
using Folder = std::vector<FolderEntry>;

Result<Folder> entries_of(FileSystem& fs, NodeId node) {
  Folder folder{{".", node}, {"..", kRootNode}};
  if (node == kRootNode) {
    folder.push_back({"origin", node_of(kOriginVolume)});
    folder.push_back({"snapshots", kSnapshotsNode});
    folder.push_back({"by-id", kByIdNode});
    return folder;
  }
  CSNAP_ASSIGN(const auto list, fs.snapshots.list());
  if (node == kByIdNode) folder.push_back({"0", node_of(kOriginVolume)});
  for (const auto& entry : list.snapshots)
    folder.push_back(
        {node == kByIdNode ? std::to_string(entry.id) : entry.name, node_of(entry.id)});
  return folder;
}

// What is read of a folder is as it was when it was opened.
void csnap_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  if (!is_folder(node)) return static_cast<void>(fuse_reply_err(request, ENOTDIR));
  auto folder = entries_of(file_system_of(request), node);
  if (!folder.ok()) return reply_status(request, folder.status());
  auto kept = std::make_unique<Folder>(std::move(*folder));
  file->fh = reinterpret_cast<std::uint64_t>(kept.get());
  if (fuse_reply_open(request, file) == 0) static_cast<void>(kept.release());
}

void csnap_readdir(fuse_req_t request, fuse_ino_t, size_t room, off_t offset,
                   fuse_file_info* file) {
  const Folder& folder = *reinterpret_cast<const Folder*>(file->fh);
  std::vector<char> buffer(room);
  std::size_t used = 0;
  for (auto i = static_cast<std::size_t>(offset); i < folder.size(); ++i) {
    struct stat brief {};
    brief.st_ino = inode_of(folder[i].node);
    brief.st_mode = is_volume(folder[i].node) ? S_IFREG : S_IFDIR;
    const std::size_t size =
        fuse_add_direntry(request, buffer.data() + used, room - used, folder[i].name.c_str(),
                          &brief, static_cast<off_t>(i + 1));
    if (size > room - used) break;
    used += size;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void csnap_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  delete reinterpret_cast<Folder*>(file->fh);
  fuse_reply_err(request, 0);
}

// The store's space: what is free is what snapshots may still take.
void csnap_statfs(fuse_req_t request, fuse_ino_t) {
  const auto status = file_system_of(request).snapshots.status();
  if (!status.ok()) return reply_status(request, status.status());
  struct statvfs out {};
  out.f_bsize = out.f_frsize = status->chunk_size;
  out.f_blocks = status->store_chunks;
  out.f_bfree = out.f_bavail = status->free_chunks;
  out.f_files = status->snapshots + 1;
  out.f_namemax = 64;
  fuse_reply_statfs(request, &out);
}

void csnap_init(void*, fuse_conn_info* connection) {
  const auto want = [&](unsigned what) { connection->want |= connection->capable & what; };
  // Handles may name what the kernel has forgotten.
  want(FUSE_CAP_EXPORT_SUPPORT);
  // What is written goes from the pipe to memory on a page boundary, from where it is not copied
  // again. What is read is not spliced: it would come through this host's page cache of the device,
  // which does not hear of what other hosts write.
  want(FUSE_CAP_SPLICE_READ);
  // The kernel would ask for the size before each read. It never changes; what is cached is dropped
  // when a file is opened.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
}

}  // namespace

FileSystem& file_system_of(fuse_req_t request) {
  return *static_cast<FileSystem*>(fuse_req_userdata(request));
}

int errno_of(Code code) {
  switch (code) {
    case Code::ok:
      return 0;
    case Code::stale:
      return ESTALE;
    case Code::not_found:
      return ENOENT;
    case Code::no_space:
      return ENOSPC;
    case Code::denied:
      return EACCES;
    case Code::busy:
      return EBUSY;
    case Code::invalid:
    case Code::out_of_range:
      return EINVAL;
    case Code::unsupported:
      return ENOTSUP;
    default:
      return EIO;
  }
}

void reply_status(fuse_req_t request, const Status& status) {
  const int error = errno_of(status.code());
  if (error == EIO) std::fprintf(stderr, "csnap-fuse: %s\n", status.to_string().c_str());
  fuse_reply_err(request, error);
}

Result<struct stat> FileSystem::attributes(NodeId node) {
  CSNAP_ASSIGN(const auto list, snapshots.list());
  if (is_folder(node)) return folder_attributes(node, list);
  if (!is_volume(node)) return Status(Code::stale, "there is no such file");
  const std::uint64_t id = volume_of(node);
  struct stat out = volume_attributes(node, list.volume_size, list.chunk_size, volumes.read_only());
  if (id == kOriginVolume) {
    set_times(out, std::max(volumes.written_at(id), contents.origin_changed_at()));
    return out;
  }
  for (const auto& entry : list.snapshots) {
    if (entry.id != id) continue;
    CSNAP_ASSIGN(const auto usage, contents.usage(entry));
    // Of a file without any block tar -S takes for granted that it is all zeros.
    out.st_blocks = std::max<blkcnt_t>(
        1, static_cast<blkcnt_t>((usage.exclusive + usage.shared) / kSectorBytes));
    set_times(out, std::max(volumes.written_at(id), entry.created_ns));
    return out;
  }
  return Status(Code::stale, "snapshot " + std::to_string(id) + " was deleted");
}

namespace {

// Snapshots are made, named and deleted with csnap-admin.
void refuse_change(fuse_req_t request) {
  fuse_reply_err(request, EPERM);
}
void csnap_mknod(fuse_req_t request, fuse_ino_t, const char*, mode_t, dev_t) {
  refuse_change(request);
}
void csnap_mkdir(fuse_req_t request, fuse_ino_t, const char*, mode_t) {
  refuse_change(request);
}
void csnap_remove(fuse_req_t request, fuse_ino_t, const char*) {
  refuse_change(request);
}
void csnap_rename(fuse_req_t request, fuse_ino_t, const char*, fuse_ino_t, const char*, unsigned) {
  refuse_change(request);
}
void csnap_symlink(fuse_req_t request, const char*, fuse_ino_t, const char*) {
  refuse_change(request);
}
void csnap_link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) {
  refuse_change(request);
}

}  // namespace

fuse_lowlevel_ops file_system_operations() {
  fuse_lowlevel_ops operations{};
  operations.init = csnap_init;
  operations.lookup = csnap_lookup;
  operations.getattr = csnap_getattr;
  operations.setattr = csnap_setattr;
  operations.getxattr = csnap_getxattr;
  operations.listxattr = csnap_listxattr;
  operations.opendir = csnap_opendir;
  operations.readdir = csnap_readdir;
  operations.releasedir = csnap_releasedir;
  operations.statfs = csnap_statfs;
  operations.mknod = csnap_mknod;
  operations.mkdir = csnap_mkdir;
  operations.unlink = csnap_remove;
  operations.rmdir = csnap_remove;
  operations.rename = csnap_rename;
  operations.symlink = csnap_symlink;
  operations.link = csnap_link;
  add_file_operations(operations);
  return operations;
}

}  // namespace csnap
