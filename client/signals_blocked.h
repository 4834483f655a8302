// SPDX-License-Identifier: Apache-2.0
// While it lives, the calling thread takes no signals, nor does a thread that it starts: a program
// wants to see them on its own threads.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace csnap {

class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace csnap
