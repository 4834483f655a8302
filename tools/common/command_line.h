// SPDX-License-Identifier: Apache-2.0
// How every program here reads its words: whole names of options only (--for is not --force), and
// no words but options unless the program names a place for them.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "store/status.h"

namespace csnap {

// invalid, with what is wrong, for words that do not fit.
Result<boost::program_options::variables_map> parse_words(
    const std::vector<std::string>& arguments,
    const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& positional = {});

}  // namespace csnap
