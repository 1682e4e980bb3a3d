// UnicodeDecode, UnicodeDecodeWithOffsets, UnicodeEncode, UnicodeTranscode, UnicodeScript.
#include <unicode/uscript.h>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"
#include "tenon/ops/string/unicode.h"

namespace tenon {
namespace {

Status unicode_decode_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t splits, add_dims(c.input(0).num_elements(), 1));
  c.set_output(0, {splits});
  for (int i = 1; i < c.num_outputs(); ++i) c.set_output(i, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_unicode_decode(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const UnicodeErrors errors, unicode_errors(p.attrs()));
  const std::string encoding = p.attr<std::string>("input_encoding");
  TENON_RETURN_IF_ERROR(UnicodeReader::open(encoding, errors).status());
  Kernel kernel;
  visit<IndexTypes>(p.output_dtype(0), [&]<class Split>() {
    kernel = [encoding, errors](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(UnicodeReader reader, UnicodeReader::open(encoding, errors));
      std::vector<Split> splits{0};
      std::vector<int32_t> characters;
      std::vector<int64_t> offsets;
      for (std::string_view text : r.input(0).span<std::string_view>()) {
        TENON_RETURN_IF_ERROR(reader.read(text, [&](int32_t character, int64_t offset) {
          characters.push_back(character);
          offsets.push_back(offset);
        }));
        splits.push_back(static_cast<Split>(characters.size()));
      }
      r.set_output(0, Tensor::vector<Split>(splits));
      r.set_output(1, Tensor::vector<int32_t>(characters));
      if (r.num_outputs() > 2) r.set_output(2, Tensor::vector<int64_t>(offsets));
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_unicode_transcode(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const UnicodeErrors errors, unicode_errors(p.attrs()));
  const std::string from = p.attr<std::string>("input_encoding");
  TENON_RETURN_IF_ERROR(UnicodeReader::open(from, errors).status());
  const UnicodeEncoding to = unicode_encoding(p.attr<std::string>("output_encoding"));
  return Kernel([=](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(UnicodeReader reader, UnicodeReader::open(from, errors));
    return map_strings(r, [&](std::string_view text, std::string& out) {
      return reader.read(text,
                         [&](int32_t character, int64_t) { append_character(to, character, out); });
    });
  });
}

// [rows.., ] of the characters' shape: a vector of splits gives a vector of strings.
Status unicode_encode_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const int64_t splits = c.input(1).has_rank() ? c.input(1)[0] : -1;
  c.set_output(0, {splits < 0 ? -1 : std::max<int64_t>(splits - 1, 0)});
  return absl::OkStatus();
}

StatusOr<Kernel> make_unicode_encode(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const UnicodeErrors errors, unicode_errors(p.attrs()));
  const UnicodeEncoding encoding = unicode_encoding(p.attr<std::string>("output_encoding"));
  return Kernel([=, shape = p.output_shape(0).to_shape()](KernelRun& r) -> Status {
    const auto values = r.input(0).span<int32_t>();
    const std::vector<int64_t> splits = integers_of(r.input(1));
    const auto count = static_cast<int64_t>(values.size());
    if (splits.empty()) return invalid_argument("Input_splits should have at least 1 element");
    if (splits.front() != 0) {
      return invalid_argument("First value in input_splits must be zero, found ", splits.front());
    }
    StringTensorBuilder builder(shape);
    std::string text;
    for (size_t row = 1; row < splits.size(); ++row) {
      if (splits[row] < splits[row - 1] || splits[row] > count) {
        return invalid_argument("input_splits[", row, "] = ", splits[row], " is not in [",
                                splits[row - 1], ", ", count, "]");
      }
      text.clear();
      for (int64_t i = splits[row - 1]; i < splits[row]; ++i) {
        int32_t character = values[static_cast<size_t>(i)];
        if (!is_character(character)) {
          if (errors.policy == UnicodeErrors::Policy::kStrict) {
            return invalid_argument("Code point is out of range for Unicode, or a noncharacter: ",
                                    character);
          }
          if (errors.policy == UnicodeErrors::Policy::kIgnore) continue;
          character = errors.replacement;
        }
        append_character(encoding, character, text);
      }
      builder.set(static_cast<int64_t>(row) - 1, text);
    }
    if (splits.back() != count) {
      return invalid_argument("Last value in input_splits must be equal to the number of values: ",
                              splits.back(), " and ", count);
    }
    r.set_output(0, std::move(builder).build());
    return absl::OkStatus();
  });
}

// ICU's number of the script, -1 for what is no character.
StatusOr<Kernel> make_unicode_script(Prepare&) {
  return Kernel([](KernelRun& r) {
    const auto characters = r.input(0).span<int32_t>();
    std::transform(characters.begin(), characters.end(), r.out<int32_t>(0), [](int32_t character) {
      UErrorCode code = U_ZERO_ERROR;
      const UScriptCode script = uscript_getScript(character, &code);
      return U_FAILURE(code) ? -1 : static_cast<int32_t>(script);
    });
    return absl::OkStatus();
  });
}

constexpr OpDecl unicode_decode(ArgsText outputs) {
  return {
      .inputs = "input: string",
      .outputs = outputs,
      .attrs =
          "input_encoding: string; errors: {'strict', 'replace', 'ignore'} = 'replace'; "
          "replacement_char: int = 65533; replace_control_characters: bool = false; "
          "Tsplits: {int32, int64} = int64",
      .supplies_outputs = true,
      .shape = unicode_decode_shape,
      .gradient = not_differentiable,
      .kernels = {make_unicode_decode},
  };
}

}  // namespace

TENON_OP(UnicodeDecode) = unicode_decode("row_splits: Tsplits, char_values: int32");
TENON_OP(UnicodeDecodeWithOffsets) =
    unicode_decode("row_splits: Tsplits, char_values: int32, char_to_byte_starts: int64");

TENON_OP(UnicodeTranscode) = {
    .inputs = "input: string",
    .outputs = "output: string",
    .attrs =
        "input_encoding: string; output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}; "
        "errors: {'strict', 'replace', 'ignore'} = 'replace'; replacement_char: int = 65533; "
        "replace_control_characters: bool = false",
    .supplies_outputs = true,
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_unicode_transcode},
};

TENON_OP(UnicodeEncode) = {
    .inputs = "input_values: int32, input_splits: Tsplits",
    .outputs = "output: string",
    .attrs =
        "errors: {'ignore', 'replace', 'strict'} = 'replace'; "
        "output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}; replacement_char: int = 65533; "
        "Tsplits: {int32, int64} = int64",
    .supplies_outputs = true,
    .shape = unicode_encode_shape,
    .gradient = not_differentiable,
    .kernels = {make_unicode_encode},
};

TENON_OP(UnicodeScript) = {
    .inputs = "input: int32",
    .outputs = "output: int32",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_unicode_script},
};

}  // namespace tenon
