// SPDX-License-Identifier: Apache-2.0
// What command lines that ask for a reverse map have in common. Pure.
#pragma once

#include <boost/program_options.hpp>

#include "tools/rmap/run.h"

namespace csnap {

// --bad-sectors and --block-size. invalid, with a sentence for people.
Status take_rmap_options(const boost::program_options::variables_map& values, RmapRequest& out);

}  // namespace csnap
