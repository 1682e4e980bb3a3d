#include "tenon/cli/arrays/array_text.h"

#include <cmath>
#include <cstdio>

#include "tenon/core/float16.h"

namespace tenon::cli {
namespace {

constexpr int kPrecision = 8;
constexpr int64_t kThreshold = 1000, kEdge = 3;
constexpr size_t kLineWidth = 75;

// The shortest digits that give `value` again, at most 8 after the point, without trailing zeros.
template <class T>
std::string positional(T value) {
  char text[512];
  std::string out(text,
                  std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed).ptr);
  const size_t point = out.find('.');
  if (point == out.npos) return out + '.';
  if (out.size() - point - 1 > kPrecision) {
    out.assign(text, static_cast<size_t>(std::snprintf(text, sizeof(text), "%.*f", kPrecision,
                                                       static_cast<double>(value))));
    out.erase(out.find_last_not_of('0') + 1);
  }
  return out;
}

template <class T>
std::string scientific(T value) {
  char text[64];
  std::string out(
      text, std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific).ptr);
  size_t e = out.find('e');
  if (e > kPrecision + 2 + (value < 0)) {
    out.assign(text, static_cast<size_t>(std::snprintf(text, sizeof(text), "%.*e", kPrecision,
                                                       static_cast<double>(value))));
    e = out.find('e');
  }
  std::string digits = out.substr(0, e);
  if (digits.find('.') == digits.npos) digits += '.';
  return digits + out.substr(e);
}

// Pads so that the points of all texts stand below each other.
void align_points(std::vector<std::string>& texts, char pad_after) {
  size_t before = 0, after = 0;
  for (const std::string& text : texts) {
    const size_t point = text.find('.');
    if (point == text.npos) continue;
    before = std::max(before, point);
    after = std::max(after, std::min(text.find('e'), text.size()) - point - 1);
  }
  for (const std::string& text : texts) {
    if (text.find('.') == text.npos && text.size() > before + 1 + after) {
      before = text.size() - after - 1;
    }
  }
  for (std::string& text : texts) {
    const size_t point = text.find('.');
    if (point == text.npos) {  // nan, inf
      const size_t width = before + 1 + after;
      if (text.size() < width) text.insert(0, width - text.size(), ' ');
      continue;
    }
    const size_t end = std::min(text.find('e'), text.size());
    text.insert(end, after - (end - point - 1), pad_after);
    text.insert(0, before - point, ' ');
  }
}

template <class T>
std::vector<std::string> float_texts(const std::vector<T>& values) {
  double largest = 0, smallest = std::numeric_limits<double>::infinity();
  for (const T value : values) {
    const double size = std::abs(static_cast<double>(value));
    if (!std::isfinite(size) || size == 0) continue;
    largest = std::max(largest, size);
    smallest = std::min(smallest, size);
  }
  const bool exponents =
      largest > 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
  std::vector<std::string> texts;
  for (const T value : values) {
    if (std::isnan(value)) {
      texts.emplace_back("nan");
    } else if (std::isinf(value)) {
      texts.emplace_back(value < 0 ? "-inf" : "inf");
    } else {
      texts.push_back(exponents ? scientific(value) : positional(value));
    }
  }
  align_points(texts, exponents ? '0' : ' ');
  return texts;
}

std::string quoted_bytes(std::string_view bytes) {
  const bool has_single = bytes.find('\'') != bytes.npos;
  const char quote = has_single && bytes.find('"') == bytes.npos ? '"' : '\'';
  std::string out = {'b', quote};
  for (const char c : bytes) {
    char hex[8];
    if (c == '\\' || c == quote) {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < ' ' || c > '~') {
      std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
      out += hex;
    } else {
      out += c;
    }
  }
  return out + quote;
}

// Real parts below each other, imaginary ones too: "1. +2.j".
template <class T>
std::vector<std::string> complex_texts(const std::vector<std::complex<T>>& values) {
  std::vector<T> reals, imaginaries;
  for (const auto& value : values) {
    reals.push_back(value.real());
    imaginaries.push_back(std::abs(value.imag()));
  }
  std::vector<std::string> texts = float_texts(reals), behind = float_texts(imaginaries);
  for (size_t i = 0; i < texts.size(); ++i) {
    behind[i].insert(behind[i].find_last_not_of(' ') + 1, 1, 'j');
    texts[i] += (std::signbit(values[i].imag()) ? '-' : '+') + behind[i];
  }
  return texts;
}

// Values of the elements `indices`, as the type that they are printed in.
template <class Printed, class T>
std::vector<Printed> gather(const Tensor& tensor, const std::vector<int64_t>& indices) {
  std::vector<Printed> values;
  for (int64_t i : indices) values.push_back(static_cast<Printed>(tensor.data<T>()[i]));
  return values;
}

// Texts of the elements `indices`, of equal width where NumPy makes them so.
std::vector<std::string> element_texts(const Tensor& tensor, const std::vector<int64_t>& indices) {
  std::vector<std::string> texts;
  if (tensor.dtype() == DType::kString) {
    for (int64_t i : indices) texts.push_back(quoted_bytes(tensor.data<std::string_view>()[i]));
    return texts;
  }
  const auto floats = [&]<class T>() {
    using Printed = std::conditional_t<std::is_same_v<T, double>, double, float>;
    texts = float_texts(gather<Printed, T>(tensor, indices));
  };
  const auto integers = [&]<class T>() {
    for (int64_t i : indices) texts.push_back(cat(tensor.data<T>()[i]));
  };
  const auto complexes = [&]<class T>() { texts = complex_texts(gather<T, T>(tensor, indices)); };
  using ComplexTypes = TypeList<std::complex<float>, std::complex<double>>;
  const bool known = visit<FloatTypes>(tensor.dtype(), floats) ||
                     visit<IntegerTypes>(tensor.dtype(), integers) ||
                     visit<ComplexTypes>(tensor.dtype(), complexes);
  for (int64_t i : indices) {
    if (tensor.dtype() == DType::kBool) {
      const std::string_view yes = tensor.rank() > 0 ? " True" : "True";  // also without a False
      texts.emplace_back(tensor.data<bool>()[i] ? yes : "False");
    } else if (!known) {
      texts.push_back(cat("<", tensor.dtype(), ">"));
    }
  }
  size_t width = 0;
  for (const std::string& text : texts) width = std::max(width, text.size());
  for (std::string& text : texts) text.insert(0, width - text.size(), ' ');
  return texts;
}

// Lays the texts of the shown elements out in brackets.
class Layout {
 public:
  explicit Layout(const Tensor& tensor)
      : tensor_(tensor), summary_(tensor.num_elements() > kThreshold) {
    std::vector<int64_t> indices;
    list(0, 0, indices);
    texts_ = element_texts(tensor, indices);
  }

  std::string text() {
    std::string out;
    append(0, 0, out);
    return out;
  }

 private:
  // The positions of `axis` that are shown; -1 stands for "...".
  std::vector<int64_t> shown(int axis) const {
    std::vector<int64_t> positions;
    const int64_t size = tensor_.dim(axis);
    for (int64_t i = 0; i < size; ++i) {
      if (summary_ && size > 2 * kEdge && i == kEdge) {
        positions.push_back(-1);
        i = size - kEdge;
      }
      positions.push_back(i);
    }
    return positions;
  }
  int64_t stride(int axis) const { return tensor_.shape().product(axis + 1, tensor_.rank()); }

  void list(int axis, int64_t offset, std::vector<int64_t>& indices) const {
    if (axis == tensor_.rank()) {
      indices.push_back(offset);
      return;
    }
    for (int64_t i : shown(axis)) {
      if (i >= 0) list(axis + 1, offset + i * stride(axis), indices);
    }
  }

  void append(int axis, size_t indent, std::string& out) {
    if (axis == tensor_.rank()) {
      out += texts_[next_++];
      return;
    }
    const bool innermost = axis + 1 == tensor_.rank();
    const size_t line_breaks = static_cast<size_t>(tensor_.rank() - axis - 1);
    size_t column = indent + 1;
    out += '[';
    bool first = true;
    for (int64_t i : shown(axis)) {
      if (!innermost && !first)
        out += std::string(line_breaks, '\n') + std::string(indent + 1, ' ');
      if (innermost) {
        const size_t width = i < 0 ? 3 : texts_[next_].size();
        if (!first && column + 1 + width >= kLineWidth - static_cast<size_t>(axis)) {
          out.erase(out.find_last_not_of(' ') + 1);
          out += '\n' + std::string(indent + 1, ' ');
          column = indent + 1;
        } else if (!first) {
          out += ' ';
          ++column;
        }
        column += width;
      }
      first = false;
      if (i < 0) {
        out += "...";
      } else {
        append(axis + 1, indent + 1, out);
      }
    }
    out += ']';
  }

  const Tensor& tensor_;
  const bool summary_;
  std::vector<std::string> texts_;
  size_t next_ = 0;
};

}  // namespace

std::string array_text(const Tensor& tensor) {
  std::string text = Layout(tensor).text();
  if (tensor.rank() > 0 || !is_floating(tensor.dtype())) return text;
  return text.ends_with('.') ? text + '0' : text;  // a scalar prints as str() does
}

}  // namespace tenon::cli
