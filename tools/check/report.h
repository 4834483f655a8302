// SPDX-License-Identifier: Apache-2.0
// What csnap-check found, for people and for scripts. Pure.
#pragma once

#include <string>

#include "server/repair.h"
#include "tools/check/options.h"
#include "tools/check/run.h"

namespace csnap {

std::string check_report_text(const CheckToolOptions& options, const CheckReport& report);
std::string check_report_json(const CheckToolOptions& options, const CheckReport& report);
std::string repair_report_text(const CheckToolOptions& options, const RepairOutcome& outcome);
std::string repair_report_json(const CheckToolOptions& options, const RepairOutcome& outcome);

}  // namespace csnap
