// What ops that work string by string share.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// Output 0: `f(text, out)` of each element of input 0; `out` is empty at each call. An error of `f`
// ends the run.
template <class F>
Status map_strings(KernelRun& r, const F& f) {
  const auto texts = r.input(0).span<std::string_view>();
  StringTensorBuilder builder(r.input(0).shape());
  std::string out;
  for (size_t i = 0; i < texts.size(); ++i) {
    out.clear();
    TENON_RETURN_IF_ERROR(f(texts[i], out));
    builder.set(static_cast<int64_t>(i), out);
  }
  r.set_output(0, std::move(builder).build());
  return absl::OkStatus();
}

// Output 0: a piece `f(text)` of each element of input 0; characters are shared.
template <class F>
Status cut_strings(KernelRun& r, const F& f) {
  const auto texts = r.input(0).span<std::string_view>();
  StringTensorBuilder builder(r.input(0).shape());
  builder.share(r.input(0));
  for (size_t i = 0; i < texts.size(); ++i) builder.set_view(static_cast<int64_t>(i), f(texts[i]));
  r.set_output(0, std::move(builder).build());
  return absl::OkStatus();
}

// Begins a UTF-8 character: any byte that does not continue one.
inline bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

}  // namespace tenon
