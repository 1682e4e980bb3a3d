#include "tenon/base/wait_notice.h"

#include <utility>

namespace tenon {
namespace {

thread_local WaitNotice* innermost_notice = nullptr;

}  // namespace

WaitNotice::WaitNotice(FunctionRef<void()> told)
    : told_(told), outer_(std::exchange(innermost_notice, this)) {}

WaitNotice::~WaitNotice() { innermost_notice = outer_; }

void about_to_wait() {
  WaitNotice* const notice = innermost_notice;
  if (notice == nullptr || std::exchange(notice->done_, true)) return;
  notice->told_();
}

}  // namespace tenon
