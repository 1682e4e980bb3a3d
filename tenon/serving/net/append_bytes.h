// What clients send is kept as far as there is memory for it.
#pragma once

#include <string>
#include <string_view>

#include "tenon/base/out_of_memory.h"

namespace tenon::serving {

// False where memory is lacking, and then nothing has changed.
[[nodiscard]] inline bool append_bytes(std::string& to, std::string_view bytes) {
  return or_out_of_memory([&] {
           to.append(bytes);
           return Status();
         })
      .ok();
}

}  // namespace tenon::serving
