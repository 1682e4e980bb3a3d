// StringLength and Substr, in bytes or UTF-8 characters.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"

namespace tenon {
namespace {

int64_t character_count(std::string_view text) {
  return std::count_if(text.begin(), text.end(), begins_character);
}

StatusOr<Kernel> make_string_length(Prepare& p) {
  const bool bytes = p.attr<std::string>("unit") == "BYTE";
  return Kernel([bytes](KernelRun& r) {
    const auto texts = r.input(0).span<std::string_view>();
    std::transform(texts.begin(), texts.end(), r.out<int32_t>(0), [&](std::string_view text) {
      return static_cast<int32_t>(bytes ? static_cast<int64_t>(text.size())
                                        : character_count(text));
    });
    return absl::OkStatus();
  });
}

Status substr_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(PartialShape::merge(c.input(1), c.input(2)).status());
  TENON_ASSIGN_OR_RETURN(PartialShape shape, broadcast_shapes(c.input(0), c.input(1)));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// Byte offset of character `index` of `text`, which has more than that or just as many.
size_t character_offset(std::string_view text, int64_t index) {
  size_t at = 0;
  while (at < text.size() && !begins_character(text[at])) ++at;
  for (; index > 0 && at < text.size(); --index) {
    do ++at;
    while (at < text.size() && !begins_character(text[at]));
  }
  return at;
}

// A negative position counts from the end. A negative length takes all bytes that follow, but no
// character, and then TensorFlow counts no position from the end.
StatusOr<std::string_view> substring(std::string_view text, int64_t pos, int64_t len, bool bytes) {
  const int64_t size = bytes ? static_cast<int64_t>(text.size()) : character_count(text);
  if (pos > size || pos < (!bytes && len < 0 ? 0 : -size)) {
    return invalid_argument("pos ", pos, " out of range for string of length ", size);
  }
  const int64_t begin = pos < 0 ? size + pos : pos;
  const int64_t end = len < 0 || len > size - begin ? size : begin + len;
  if (!bytes && len < 0) return std::string_view();
  if (bytes) return text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  const size_t from = character_offset(text, begin);
  return text.substr(from, character_offset(text.substr(from), end - begin));
}

StatusOr<Kernel> make_substr(Prepare& p) {
  const bool bytes = p.attr<std::string>("unit") == "BYTE";
  const Shape shape = p.output_shape(0).to_shape();
  // Steps of both operands along the result's axes, 0 where they are repeated.
  const auto steps = [&](const Shape& operand) {
    Dims result(static_cast<size_t>(shape.rank()), 0);
    const int missing = shape.rank() - operand.rank();
    int64_t step = 1;
    for (int axis = operand.rank() - 1; axis >= 0; --axis) {
      if (operand[axis] != 1) result[static_cast<size_t>(axis + missing)] = step;
      step *= operand[axis];
    }
    return result;
  };
  const Dims text_steps = steps(p.input_shape(0)), pos_steps = steps(p.input_shape(1));
  return Kernel([=](KernelRun& r) -> Status {
    StringTensorBuilder builder(shape);
    builder.share(r.input(0));
    Dims index(static_cast<size_t>(shape.rank()), 0);
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      int64_t text = 0, pos = 0;
      for (size_t axis = 0; axis < index.size(); ++axis) {
        text += index[axis] * text_steps[axis];
        pos += index[axis] * pos_steps[axis];
      }
      TENON_ASSIGN_OR_RETURN(const std::string_view piece,
                             substring(r.in<std::string_view>(0)[text], integer_at(r.input(1), pos),
                                       integer_at(r.input(2), pos), bytes));
      builder.set_view(i, piece);
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        if (++index[static_cast<size_t>(axis)] < shape[axis]) break;
        index[static_cast<size_t>(axis)] = 0;
      }
    }
    r.set_output(0, std::move(builder).build());
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(StringLength) = {
    .inputs = "input: string",
    .outputs = "output: int32",
    .attrs = "unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_string_length},
};

TENON_OP(Substr) = {
    .inputs = "input: string, pos: T, len: T",
    .outputs = "output: string",
    .attrs = "T: {int32, int64}; unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'",
    .supplies_outputs = true,
    .shape = substr_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient = not_differentiable,
    .kernels = {make_substr},
};

}  // namespace tenon
