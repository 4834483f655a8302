// SPDX-License-Identifier: Apache-2.0
#include "tools/mkstore/options.h"

#include <bit>
#include <sstream>

#include "store/block_tree_layout.h"
#include "tools/common/command_line.h"
#include "tools/common/size.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr const char* kPositional[] = {"origin-path", "store-path"};

po::options_description visible() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("size", po::value<std::string>()->value_name("SIZE"),
      "make STORE as a file (or tree) of this size if it does not exist; it takes space as it "
      "fills");
  add("preallocate",
      "with --size: write that file full of zeros, so that its file system need not look for\n"
      "blocks later; first writes are several times as fast then");
  add("chunk-size", po::value<std::string>()->value_name("SIZE")->default_value("4K"),
      "unit of copying and of space, a power of two from 4K to 1M");
  add("journal-size", po::value<std::string>()->value_name("SIZE"),
      "at least 1M; default: a 64th of the store, from 1M to 64M");
  add("metadata", po::value<std::string>()->value_name("PATH"),
      "keep the metadata on this device or file instead of on STORE");
  add("label", po::value<std::string>()->value_name("TEXT")->default_value(""),
      "a name for people, at most 64 bytes");
  add("force", "overwrite a store, a file system or a partition table");
  add("dry-run", "check everything, say what would be made, change nothing");
  add("json", "say it as JSON");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

po::options_description all() {
  po::options_description options = visible();
  for (const char* name : kPositional)
    options.add_options()(name, po::value<std::vector<std::string>>());
  return options;
}

constexpr std::uint64_t kSmallestJournal = 1u << 20;

Result<std::uint64_t> size_of(const po::variables_map& values, const char* name) {
  if (values.count(name) == 0) return std::uint64_t{0};
  auto size = parse_size(values[name].as<std::string>());
  if (!size.ok()) return size.status().with_context(std::string("--") + name);
  if (*size == 0) return Status(Code::invalid, std::string("--") + name + " cannot be 0");
  return size;
}

Status take_values(const po::variables_map& values, MkstoreOptions& out) {
  CSNAP_ASSIGN(out.size, size_of(values, "size"));
  CSNAP_ASSIGN(out.journal_size, size_of(values, "journal-size"));
  // Stores with less exist and work, an order of magnitude slower: nearly every change waits for a
  // checkpoint then.
  if (out.journal_size != 0 && out.journal_size < kSmallestJournal)
    return Status(Code::invalid,
                  "--journal-size must be at least 1M: with less, nearly every "
                  "change would wait for a checkpoint");
  CSNAP_ASSIGN(const std::uint64_t chunk, size_of(values, "chunk-size"));
  if (!std::has_single_bit(chunk) || chunk < 1ULL << kMinChunkShift ||
      chunk > 1ULL << kMaxChunkShift)
    return Status(Code::invalid, "--chunk-size must be a power of two from 4K to 1M");
  out.chunk_shift = static_cast<unsigned>(std::countr_zero(chunk));
  if (out.size % kBlockSize != 0)
    return Status(Code::invalid, "--size must be a multiple of 4096 bytes");
  out.label = values["label"].as<std::string>();
  if (values.count("metadata") != 0) {
    out.metadata = values["metadata"].as<std::string>();
    if (out.metadata.empty()) return Status(Code::invalid, "--metadata names no device");
  }
  out.preallocate = values.count("preallocate") != 0;
  if (out.preallocate && out.size == 0)
    return Status(Code::invalid, "--preallocate needs --size: it is about a file to be made");
  out.force = values.count("force") != 0;
  out.dry_run = values.count("dry-run") != 0;
  out.json = values.count("json") != 0;
  return {};
}

// For a tree of block files the size is part of its name, too.
Status take_tree_size(MkstoreOptions& out) {
  CSNAP_ASSIGN(auto tree, BlockTreePath::parse(out.store));
  if (!tree || out.size == 0) return {};
  if (tree->size != 0 && tree->size != out.size)
    return Status(Code::invalid, "--size and size= in " + out.store + " differ");
  tree->size = out.size;
  out.store = tree->to_string();
  return {};
}

}  // namespace

std::string mkstore_usage() {
  std::ostringstream text;
  text << "Usage: csnap-mkstore [OPTIONS] ORIGIN STORE\n\n"
          "Makes STORE, a device or a file, the snapshot store of the volume ORIGIN. What is on\n"
          "ORIGIN is neither read nor changed; what is on STORE is lost. Either may be a tree of\n"
          "block files, tree:DIRECTORY?size=SIZE.\n\n"
       << visible()
       << "\nSizes: 64K, 512M, 2G, 1.5TiB. Exit codes: 0 made, 1 not made, 2 wrong usage.\n"
          "Example: csnap-mkstore --size 20G /dev/vg0/data /var/lib/csnap/data.store\n";
  return text.str();
}

Result<MkstoreOptions> parse_mkstore_options(const std::vector<std::string>& arguments) {
  MkstoreOptions out;
  std::vector<std::string> paths;
  po::positional_options_description positional;
  positional.add("origin-path", 1).add("store-path", -1);
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, all(), positional));
  out.help = values.count("help") != 0;
  out.version = !out.help && values.count("version") != 0;
  if (out.help || out.version) return out;
  for (const char* name : kPositional)
    if (values.count(name) != 0)
      for (const auto& path : values[name].as<std::vector<std::string>>()) paths.push_back(path);
  if (paths.size() != 2 || paths[0].empty() || paths[1].empty())
    return Status(Code::invalid, "two paths are needed: ORIGIN and STORE");
  out.origin = paths[0];
  out.store = paths[1];
  CSNAP_TRY(take_values(values, out));
  CSNAP_TRY(take_tree_size(out));
  return out;
}

}  // namespace csnap
