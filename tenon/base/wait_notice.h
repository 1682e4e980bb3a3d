// WaitNotice: word from a thread that it is going to wait for other work (a turn to compute, a
// batch to fill), to whoever counts the thread as busy and could let another one work meanwhile.
#pragma once

#include "tenon/base/function_ref.h"

namespace tenon {

// While it lives, `told` is called on its thread before the thread first waits. They nest: the
// innermost is told. `told` outlives it.
class WaitNotice {
 public:
  explicit WaitNotice(FunctionRef<void()> told);
  ~WaitNotice();
  WaitNotice(const WaitNotice&) = delete;
  WaitNotice& operator=(const WaitNotice&) = delete;

 private:
  friend void about_to_wait();
  const FunctionRef<void()> told_;
  WaitNotice* const outer_;
  bool done_ = false;
};

// Called before the calling thread waits for other work; does nothing where nobody wants to know.
void about_to_wait();

}  // namespace tenon
