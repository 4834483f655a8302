// SPDX-License-Identifier: Apache-2.0
// csnap-fuse: parses, mounts, serves until it is unmounted.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "store/errno_status.h"
#include "store/open_device.h"
#include "tools/fuse/ending.h"
#include "tools/fuse/file_system.h"
#include "tools/fuse/options.h"
#include "tools/fuse/watcher.h"

namespace csnap {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct SessionEnd {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};

int failed(const std::string& what) {
  std::fprintf(stderr, "csnap-fuse: %s\n", what.c_str());
  return kFailed;
}

std::unique_ptr<fuse_session, SessionEnd> make_session(const FuseOptions& options, FileSystem& fs) {
  std::vector<std::string> words{"csnap-fuse", "-o",
                                 std::string("fsname=csnap,subtype=csnap,default_permissions") +
                                     (options.read_only ? ",ro" : "") +
                                     (options.allow_other ? ",allow_other" : "")};
  if (options.verbose) words.push_back("-d");
  fuse_args arguments FUSE_ARGS_INIT(0, nullptr);
  for (const std::string& word : words) fuse_opt_add_arg(&arguments, word.c_str());
  const fuse_lowlevel_ops operations = file_system_operations();
  std::unique_ptr<fuse_session, SessionEnd> session(
      fuse_session_new(&arguments, &operations, sizeof operations, &fs));
  fuse_opt_free_args(&arguments);
  return session;
}

int serve(const FuseOptions& options, fuse_session* session, FileSystem& fs) {
  const Ending ending(session);
  int ended = 0;
  {
    Watcher watcher(options.servers, fs.store, session);
    std::fprintf(stderr, "csnap-fuse: ready, %s\n", options.mountpoint.c_str());
    fuse_loop_config* config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, options.threads);
    ended = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
  }
  fs.volumes.close_all();
  // A signal's number: somebody asked it to stop.
  return ended < 0 ? failed("the kernel's requests cannot be read any more") : 0;
}

// A file can be mounted on, too, and would be of no use to anybody as long as it is.
Status check_mountpoint(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 && errno == ENOTCONN)
    return Status(Code::invalid,
                  path + ": what was mounted there has been killed; first: umount " + path);
  if (::stat(path.c_str(), &info) != 0) return errno_status(errno, path + ": cannot be mounted on");
  if (S_ISDIR(info.st_mode)) return {};
  return Status(Code::invalid, path + ": is no folder, and cannot be mounted on");
}

// What is named on the command line is not found out to be wrong by who reads a file.
Status check_device(const char* option, const std::string& name) {
  if (name.empty()) return {};
  auto device = open_device(name, OpenMode::read_only);
  return device.ok() ? Status() : device.status().with_context(option);
}

int mount_and_serve(const FuseOptions& options) {
  for (const Status& status :
       {check_mountpoint(options.mountpoint), check_device("--origin", options.origin),
        check_device("--store", options.store)})
    if (!status.ok()) return failed(status.message());
  Snapshots probe(options.servers);
  const auto list = probe.list();
  if (!list.ok()) return failed(list.status().message());
  FileSystem fs({options.servers, options.origin, options.store}, options.read_only, list->store);
  const auto session = make_session(options, fs);
  if (!session) return failed("libfuse cannot be set up");
  if (fuse_set_signal_handlers(session.get()) != 0) return failed("signals cannot be caught");
  int code = kFailed;
  if (fuse_session_mount(session.get(), options.mountpoint.c_str()) != 0) {
    failed("nothing can be mounted on " + options.mountpoint +
           "; is it a folder, and is there /dev/fuse?");
  } else {
    code = serve(options, session.get(), fs);
    fuse_session_unmount(session.get());
  }
  fuse_remove_signal_handlers(session.get());
  return code;
}

}  // namespace
}  // namespace csnap

int main(int argc, char** argv) {
  const auto options = csnap::parse_fuse_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-fuse: %s\nTry csnap-fuse --help.\n",
                 options.status().message().c_str());
    return csnap::kUsage;
  }
  if (options->help) {
    std::fputs(csnap::fuse_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-fuse " CSNAP_VERSION);
    return 0;
  }
  return csnap::mount_and_serve(*options);
}
