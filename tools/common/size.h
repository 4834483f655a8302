// SPDX-License-Identifier: Apache-2.0
// Sizes as people write them, for tools: what paths of devices use as well.
#pragma once

#include "store/size.h"
