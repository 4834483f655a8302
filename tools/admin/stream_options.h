// SPDX-License-Identifier: Apache-2.0
// The options of csnap-admin send and receive, of which replicate has some. Pure.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "store/status.h"
#include "tools/stream/identity.h"

namespace csnap {

struct StreamLine {
  std::string from;    // send
  std::string file;    // what the volume is called in a stream; empty: the default
  std::string output;  // send; empty: standard output
  std::string to;      // send, replicate: address of the server that receives; empty: none
  std::string input;   // receive; empty: standard input
  std::optional<ResumeToken> resume;  // send: go on there; receive: the stream does
  std::uint64_t limit = 0;            // send, replicate: bytes a second
  bool compress = false;              // send, replicate
  bool dry_run = false;               // send
  bool show_token = false;            // receive
  bool abort = false;                 // receive
  bool replica = false;               // receive
};

void add_stream_options(boost::program_options::options_description& options);
// invalid for an option that is not the command's, or makes no sense.
Status take_stream_options(const boost::program_options::variables_map& values,
                           const std::string& command, StreamLine& line);

}  // namespace csnap
