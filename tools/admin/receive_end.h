// SPDX-License-Identifier: Apache-2.0
// How csnap-admin receive comes to its end when it is told to, and how it leaves who sends.
#pragma once

namespace csnap {

// From now on SIGTERM and SIGINT are the end of the input: what came is kept, as when a stream is
// cut off. Where that takes more than a few seconds, as when the server has gone, the process ends
// without; what was kept until then is. Once a process.
// Threading: the thread that reads the input; others should have signals blocked.
void end_input_on_signal(int input);
// Whether one came.
bool input_ended_by_signal();

// When standard output is a connection: ends it in such a way that the other side gets what was
// said, also when it still sends. Does not wait for long.
void take_leave();

}  // namespace csnap
