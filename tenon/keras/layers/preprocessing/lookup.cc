#include "tenon/keras/layers/preprocessing/lookup.h"

#include <charconv>
#include <numeric>
#include <set>

#include "tenon/ops/string/fingerprint.h"

namespace tenon::keras::layers {

namespace {

// As many buckets as an int64 counts: StringToHashBucketFast then tells nearly all texts apart.
constexpr int64_t kHashes = std::numeric_limits<int64_t>::max();

// More tokens than any vocabulary has, few enough that a number in a small file costs no memory.
constexpr int64_t kMostTokens = int64_t{1} << 26;

// Of a list of texts or of integers.
template <class T, class Get>
StatusOr<std::vector<T>> list_of(const Json& json, std::string_view what, Get get) {
  std::vector<T> values;
  for (const Json& item : json.items() ? *json.items() : Json::Array{nullptr}) {
    const T* value = get(item);
    if (!value) return invalid_argument("the vocabulary is no list of ", what);
    values.push_back(*value);
  }
  return values;
}

// The special tokens that a vocabulary may begin with, masks and then those for what it lacks, are
// dropped; were they there? INVALID_ARGUMENT where a token stands in it twice, or it is empty.
template <class T>
StatusOr<bool> drop_special_tokens(int64_t masks, const T& mask, int64_t unknowns, const T& unknown,
                                   std::vector<T>& tokens) {
  if (tokens.empty()) return invalid_argument("Cannot set an empty vocabulary");
  const auto begin = tokens.begin();
  const bool found =
      static_cast<int64_t>(tokens.size()) >= masks + unknowns &&
      std::all_of(begin, begin + masks, [&](const T& token) { return token == mask; }) &&
      std::all_of(begin + masks, begin + masks + unknowns,
                  [&](const T& token) { return token == unknown; });
  if (found) tokens.erase(begin, begin + masks + unknowns);
  std::set<T> seen;
  for (const T& token : tokens) {
    if (seen.insert(token).second) continue;
    return invalid_argument("The passed vocabulary has at least one repeated term: '", token, "'");
  }
  return found;
}

// `y` in the shape of `x`, whose dimensions stay known where one at most is not.
Endpoint reshape_like(GraphBuilder& g, Endpoint y, Endpoint x) {
  if (!g.status().ok()) return {};
  const PartialShape& shape = g.shape(x);
  const auto unknown = [&] { return std::count(shape.dims().begin(), shape.dims().end(), -1); };
  if (!shape.has_rank() || std::count(shape.dims().begin(), shape.dims().end(), 0) ||
      unknown() > 1) {
    return g.reshape(y, g.shape_of(x));
  }
  return g.reshape(y, shape.dims());
}

// `value` in the shape of `x`.
Endpoint filled_like(GraphBuilder& g, Endpoint x, Endpoint value) {
  return reshape_like(g, g.op("Fill", {g.shape_of(x), value}), x);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

}  // namespace

Lookup::Lookup(DType keys) : keys_(keys) { oov_token = holds_text() ? Json("[UNK]") : Json(-1); }

Status Lookup::check_options() const {
  constexpr std::string_view kModes[] = {"int", "one_hot", "multi_hot", "count", "tf_idf"};
  if (std::find(std::begin(kModes), std::end(kModes), output_mode) == std::end(kModes)) {
    return invalid_argument("output_mode is '", output_mode, "', expected ", join(kModes, ", "));
  }
  if (num_oov_indices < 0 || num_oov_indices > kMostTokens) {
    return invalid_argument("num_oov_indices is ", num_oov_indices, ", expected 0 to ",
                            kMostTokens);
  }
  if (max_tokens && (*max_tokens <= 1 || *max_tokens > kMostTokens)) {
    return invalid_argument("max_tokens is ", *max_tokens, ", expected 2 to ", kMostTokens);
  }
  if (pad_to_max_tokens && !max_tokens) {
    return invalid_argument("pad_to_max_tokens needs max_tokens");
  }
  if (invert && output_mode != "int") {
    return invalid_argument("output_mode is '", output_mode, "', with invert it must be 'int'");
  }
  if (oov_method != "floormod" && oov_method != "farmhash") {
    return invalid_argument("oov_method is '", oov_method, "', expected floormod or farmhash");
  }
  if (!salt.is_null() && (!salt.items() || salt.items()->size() != 2 ||
                          !(*salt.items())[0].integer() || !(*salt.items())[1].integer())) {
    return invalid_argument("salt is ", salt.dump(), ", expected two integers");
  }
  for (const Json* token : {&oov_token, &mask_token}) {
    const bool fits = holds_text() ? token->string() != nullptr : token->integer() != nullptr;
    if (token->is_null() ? token == &oov_token && invert : !fits) {
      return invalid_argument("a token is ", token->dump(), ", expected ",
                              holds_text() ? "a text" : "an integer");
    }
  }
  return absl::OkStatus();
}

Status Lookup::prepare() {
  TENON_RETURN_IF_ERROR(check_options());
  if (!vocabulary.is_null()) return take_tokens();
  if (output_mode != "int" && !pad_to_max_tokens && !vocabulary_size) {
    return failed_precondition(
        "there is no vocabulary, and vocabulary_size does not tell its size");
  }
  if (vocabulary_size && (*vocabulary_size < 0 || *vocabulary_size > kMostTokens)) {
    return invalid_argument("vocabulary_size is ", *vocabulary_size);
  }
  return absl::OkStatus();
}

Status Lookup::set_found(std::string_view lines, const Tensor& weights) {
  Json found{Json::Array()};
  for (std::string_view line : lines_of(lines)) {
    int64_t number = 0;
    const auto end = line.data() + line.size();
    if (!holds_text() && std::from_chars(line.data(), end, number).ptr != end) {
      return invalid_argument("the vocabulary's line '", line, "' is no integer");
    }
    found.push(holds_text() ? Json(line) : Json(number));
  }
  vocabulary = std::move(found);
  if (weights.has_value()) {
    if (weights.dtype() != DType::kFloat || weights.rank() != 1) {
      return invalid_argument("idf_weights is ", weights.dtype(), weights.shape(),
                              ", expected a list of float32");
    }
    Json list{Json::Array()};
    for (float weight : weights.span<float>()) list.push(static_cast<double>(weight));
    idf_weights = std::move(list);
  }
  return take_tokens();
}

Status Lookup::take_tokens() {
  bool special = false;
  const auto to_text = [](const Json& token) { return token.string() ? *token.string() : ""; };
  const auto to_number = [](const Json& token) { return token.integer() ? *token.integer() : 0; };
  if (holds_text()) {
    TENON_ASSIGN_OR_RETURN(texts_, list_of<std::string>(vocabulary, "texts", [](const Json& item) {
                             return item.string();
                           }));
    TENON_ASSIGN_OR_RETURN(special,
                           drop_special_tokens(first_oov(), to_text(mask_token), num_oov_indices,
                                               to_text(oov_token), texts_));
  } else {
    TENON_ASSIGN_OR_RETURN(numbers_, list_of<int64_t>(vocabulary, "integers", [](const Json& item) {
                             return item.integer();
                           }));
    TENON_ASSIGN_OR_RETURN(special,
                           drop_special_tokens(first_oov(), to_number(mask_token), num_oov_indices,
                                               to_number(oov_token), numbers_));
  }
  const auto size = first_token() + static_cast<int64_t>(texts_.size() + numbers_.size());
  if (max_tokens && size > *max_tokens) {
    return invalid_argument("the vocabulary's size is ", size, ", max_tokens is ", *max_tokens);
  }
  if (vocabulary_size && *vocabulary_size != size) {
    return invalid_argument("the vocabulary's size is ", size, ", vocabulary_size says ",
                            *vocabulary_size);
  }
  vocabulary_size = size;
  if (output_mode == "tf_idf") TENON_RETURN_IF_ERROR(take_weights(special));
  TENON_RETURN_IF_ERROR(sort_tokens());
  known_ = true;
  return absl::OkStatus();
}

// Of tokens without special ones before them, these weigh as much as the others on average.
Status Lookup::take_weights(bool with_special_tokens) {
  std::vector<float> weights;
  for (const Json& item : idf_weights.items() ? *idf_weights.items() : Json::Array{nullptr}) {
    if (!item.number()) return invalid_argument("`idf_weights` must be a list of numbers");
    weights.push_back(static_cast<float>(*item.number()));
  }
  if (!with_special_tokens && !weights.empty()) {
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    weights.insert(weights.begin(), static_cast<size_t>(first_token()),
                   static_cast<float>(sum / static_cast<double>(weights.size())));
  }
  const auto found = static_cast<int64_t>(weights.size());
  if (found != *vocabulary_size && found != depth()) {
    return invalid_argument("there are ", found, " idf_weights for ", *vocabulary_size, " tokens");
  }
  weights.resize(static_cast<size_t>(depth()), 0.0f);
  weights_ = Tensor::vector<float>(weights);
  return absl::OkStatus();
}

Status Lookup::sort_tokens() {
  const size_t size = texts_.size() + numbers_.size();
  std::vector<int64_t> keys = numbers_;
  for (const std::string& text : texts_) {
    keys.push_back(static_cast<int64_t>(farm_fingerprint(text) % uint64_t{kHashes}));
  }
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  if (!invert) {
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  }
  std::vector<int64_t> sorted, places;
  std::vector<std::string> texts;
  std::vector<int64_t> numbers;
  for (size_t at : order) {
    if (!invert && !sorted.empty() && sorted.back() == keys[at]) {
      return unimplemented("the tokens '", texts.back(), "' and '", texts_[at],
                           "' have one hash; a vocabulary with both cannot be looked up");
    }
    sorted.push_back(keys[at]);
    places.push_back(first_token() + static_cast<int64_t>(at));
    if (holds_text()) {
      texts.push_back(texts_[at]);
    } else {
      numbers.push_back(numbers_[at]);
    }
  }
  const auto n = static_cast<int64_t>(size);
  sorted_ = Tensor::from<int64_t>(Shape{1, n}, sorted);
  places_ = Tensor::vector<int64_t>(places);
  tokens_ = holds_text() ? Tensor::strings(Shape{n}, texts) : Tensor::vector<int64_t>(numbers);
  return absl::OkStatus();
}

Endpoint Lookup::token(GraphBuilder& g, const Json& token) const {
  return holds_text() ? g.constant(Tensor::string(*token.string())) : g.scalar(*token.integer());
}

Endpoint Lookup::find(GraphBuilder& g, Endpoint x) const {
  if (!g.status().ok()) return {};
  const DType wanted = invert ? DType::kInt64 : keys_;
  if ((wanted == DType::kString) != (g.dtype(x) == DType::kString)) {
    g.fail(invalid_argument("the input is of dtype ", g.dtype(x), ", expected ", wanted));
    return {};
  }
  if (wanted != DType::kString) x = g.cast(x, wanted);
  if (!known_) {
    const DType given = invert ? keys_ : DType::kInt64;
    const Endpoint nothing = filled_like(
        g, x, given == DType::kString ? g.constant(Tensor::string("")) : g.scalar<int64_t>(0));
    return only_if(g, nothing, g.scalar(false), "a layer's vocabulary has not been loaded", x);
  }
  Endpoint y = invert ? find_token(g, x) : out_of_vocabulary(g, x, find_in_order(g, x));
  if (mask_token.is_null()) return y;
  const Endpoint masked = g.op("Equal", {x, invert ? g.scalar<int64_t>(0) : token(g, mask_token)});
  // Keras maps masks to a place that no histogram counts, where they are not place 0.
  const int64_t place = output_mode == "int" ? 0 : std::numeric_limits<int64_t>::max();
  return g.op("SelectV2", {masked, invert ? token(g, mask_token) : g.scalar(place), y});
}

// The place of each token, -1 for those that are not in the vocabulary.
Endpoint Lookup::find_in_order(GraphBuilder& g, Endpoint x) const {
  const int64_t size = tokens_.num_elements();
  if (size == 0) return filled_like(g, x, g.scalar<int64_t>(-1));
  const Endpoint hash =
      holds_text() ? g.op("StringToHashBucketFast", {x}, {{"num_buckets", kHashes}}) : x;
  const Endpoint found =
      g.op("LowerBound", {g.constant(sorted_), g.reshape(hash, g.integers({1, -1}))});
  const Endpoint at =
      g.op("Minimum", {reshape_like(g, found, x), g.scalar(static_cast<int32_t>(size - 1))});
  const auto gather = [&](const Tensor& from) {
    return g.op("GatherV2", {g.constant(from), at, g.scalar<int32_t>(0)});
  };
  return g.op("SelectV2",
              {g.op("Equal", {gather(tokens_), x}), gather(places_), g.scalar<int64_t>(-1)});
}

Endpoint Lookup::out_of_vocabulary(GraphBuilder& g, Endpoint x, Endpoint places) const {
  const Endpoint known = g.op("GreaterEqual", {places, g.scalar<int64_t>(0)});
  if (num_oov_indices == 0) {
    const Endpoint fine =
        mask_token.is_null() ? known
                             : g.op("LogicalOr", {known, g.op("Equal", {x, token(g, mask_token)})});
    const Endpoint all = g.op("All", {g.reshape(fine, g.integers({-1})), g.integers({0})});
    return only_if(g, places, all,
                   "When `num_oov_indices=0` all inputs should be in vocabulary, consider setting "
                   "`num_oov_indices=1`; found among ",
                   x);
  }
  Endpoint place = g.scalar(first_oov());
  if (num_oov_indices > 1) {
    const bool by_remainder = !holds_text() && oov_method != "farmhash";
    if (by_remainder) {
      place = g.op("FloorMod", {x, g.scalar(num_oov_indices)});
    } else {
      const Endpoint text = holds_text() ? x : g.op("AsString", {x});
      AttrMap attrs{{"num_buckets", num_oov_indices}};
      if (salt.is_null()) {
        place = g.op("StringToHashBucketFast", {text}, std::move(attrs));
      } else {
        attrs.set("key", std::vector<int64_t>{*(*salt.items())[0].integer(),
                                              *(*salt.items())[1].integer()});
        place = g.op("StringToHashBucketStrong", {text}, std::move(attrs));
      }
    }
    place = g.add(place, g.scalar(first_oov()));
  }
  return g.op("SelectV2", {known, places, place});
}

Endpoint Lookup::find_token(GraphBuilder& g, Endpoint place) const {
  const Endpoint unknown = token(g, oov_token);
  if (tokens_.num_elements() == 0) return filled_like(g, place, unknown);
  const Endpoint at = g.sub(place, g.scalar(first_token()));
  const Endpoint last = g.scalar(tokens_.num_elements() - 1), first = g.scalar<int64_t>(0);
  const Endpoint inside =
      g.op("LogicalAnd", {g.op("GreaterEqual", {at, first}), g.op("LessEqual", {at, last})});
  const Endpoint safe = g.op("Minimum", {g.op("Maximum", {at, first}), last});
  return g.op(
      "SelectV2",
      {inside, g.op("GatherV2", {g.constant(tokens_), safe, g.scalar<int32_t>(0)}), unknown});
}

Endpoint Lookup::weighted(GraphBuilder& g, Endpoint counts) const {
  if (output_mode != "tf_idf") return counts;
  return weights_.has_value() ? g.mul(counts, g.constant(weights_)) : counts;
}

Endpoint Lookup::encode(GraphBuilder& g, Endpoint places) const {
  if (output_mode == "int") return places;
  return weighted(g, encode_numbers(g, places, output_mode == "tf_idf" ? "count" : output_mode,
                                    depth(), DType::kFloat));
}

Endpoint Lookup::encode_rows(GraphBuilder& g, Endpoint places, Endpoint splits) const {
  return weighted(g, g.op("RaggedBincount",
                          {splits, places, g.scalar(depth()),
                           g.constant(Tensor::vector<float>(std::vector<float>()))},
                          {{"binary_output", output_mode == "multi_hot"}}));
}

Status check_output_mode(std::string_view mode, const PartialShape& input) {
  if (mode == "int" || (mode == "one_hot" && input.rank() == 1)) return absl::OkStatus();
  return check_encoding(mode == "tf_idf" ? "count" : mode, input);
}

Endpoint encode_numbers(GraphBuilder& g, Endpoint numbers, std::string_view mode, int64_t depth,
                        DType dtype) {
  if (!g.status().ok()) return {};
  if (mode == "int") return g.cast(numbers, dtype);
  if (mode == "one_hot" || g.shape(numbers).rank() != 2 || dtype != DType::kFloat) {
    return encode_categories(g, numbers, mode, depth, dtype);
  }
  return g.op(
      "DenseBincount",
      {numbers,
       g.dtype(numbers) == DType::kInt64 ? g.scalar(depth) : g.scalar(static_cast<int32_t>(depth)),
       g.constant(Tensor::vector<float>(std::vector<float>()))},
      {{"binary_output", mode == "multi_hot"}});
}

Endpoint only_if(GraphBuilder& g, Endpoint value, Endpoint condition, std::string_view message,
                 Endpoint found) {
  const NodeId check = g.node("Assert", {condition, g.constant(Tensor::string(message)), found});
  const Endpoint checked = g.op("Identity", {value});
  if (g.status().ok()) g.graph().node(checked.node).control_inputs.push_back(check);
  return checked;
}

Json with_plain_dtype(const Json& described, std::string_view dtype) {
  Json config = Json::object();
  for (const auto& [name, value] : *described["config"].members()) {
    if (name != "trainable") config.append(name, name == "dtype" ? Json(dtype) : value);
  }
  Json plain = described;
  plain.set("config", std::move(config));
  return plain;
}

}  // namespace tenon::keras::layers
