// SPDX-License-Identifier: Apache-2.0
#include "tools/common/command_line.h"

namespace csnap {

namespace po = boost::program_options;

Result<po::variables_map> parse_words(const std::vector<std::string>& arguments,
                                      const po::options_description& options,
                                      const po::positional_options_description& positional) {
  const auto style = po::command_line_style::default_style ^ po::command_line_style::allow_guessing;
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments)
                  .options(options)
                  .style(style)
                  .positional(positional)
                  .run(),
              values);
  } catch (const po::error& error) {
    return Status(Code::invalid, error.what());
  }
  return values;
}

}  // namespace csnap
