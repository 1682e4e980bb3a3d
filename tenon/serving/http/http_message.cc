#include "tenon/serving/http/http_message.h"

#include "tenon/base/strings.h"
#include "tenon/serving/net/append_bytes.h"

namespace tenon::serving {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  if (text.empty()) return false;
  for (const char c : text) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    if (!alphanumeric && kMarks.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool has_control(std::string_view text, bool allow_tab) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && !(allow_tab && c == '\t')) || byte == 0x7F) return true;
  }
  return false;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The line at the front of `text`, which ends in CR LF; taken off together with it.
bool take_line(std::string_view& text, std::string_view& line) {
  const size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return true;
}

int parse_request_line(std::string_view line, HttpRequest& request, bool& is_1_0) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  request.method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(request.method) || target.empty() || has_control(target, false) ||
      target.find(' ') != std::string_view::npos) {
    return 400;
  }
  if (!version.starts_with("HTTP/")) return 400;
  is_1_0 = version == "HTTP/1.0";
  if (!is_1_0 && version != "HTTP/1.1") return 505;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const size_t path = target.find('/', scheme.size());
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  request.target = target;
  return 0;
}

bool parse_decimal(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() &&
         text[0] != '+';
}

// Content-Length and Transfer-Encoding. Both at once, or lengths that differ, could be read in two
// ways by two servers (request smuggling): refused.
int parse_framing(const HttpRequest& request, const HttpLimits& limits, HttpFraming& framing) {
  bool has_length = false;
  for (const HttpHeader& header : request.headers.all()) {
    if (equal_ignoring_case(header.name, "transfer-encoding")) {
      if (!equal_ignoring_case(header.value, "chunked") || framing.chunked) return 501;
      framing.chunked = true;
    } else if (equal_ignoring_case(header.name, "content-length")) {
      uint64_t length = 0;
      if (!parse_decimal(header.value, length)) return 400;
      if (has_length && length != framing.content_length) return 400;
      framing.content_length = length;
      has_length = true;
    }
  }
  if (has_length && framing.chunked) return 400;
  if (framing.content_length > limits.body_bytes) return 413;
  return 0;
}

}  // namespace

std::string_view HttpHeaders::get(std::string_view name) const {
  for (const HttpHeader& header : headers_) {
    if (equal_ignoring_case(header.name, name)) return header.value;
  }
  return {};
}

int64_t HttpHeaders::count(std::string_view name) const {
  return std::count_if(headers_.begin(), headers_.end(), [&](const HttpHeader& header) {
    return equal_ignoring_case(header.name, name);
  });
}

bool HttpHeaders::has_token(std::string_view name, std::string_view token) const {
  for (const HttpHeader& header : headers_) {
    if (!equal_ignoring_case(header.name, name)) continue;
    for (const std::string_view piece : split(header.value, ',')) {
      if (equal_ignoring_case(without_blanks(piece), token)) return true;
    }
  }
  return false;
}

bool HttpHeaders::accepts_gzip() const {
  bool accepted = false;
  for (const HttpHeader& header : headers_) {
    if (!equal_ignoring_case(header.name, "accept-encoding")) continue;
    for (const std::string_view piece : split(header.value, ',')) {
      const std::string_view coding = without_blanks(piece.substr(0, piece.find(';')));
      const bool named =
          equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip");
      if (!named && coding != "*") continue;
      // A weight of 0 ("gzip;q=0", "q=0.000") says no, and what names gzip goes before "*".
      const size_t weight = piece.find("q=");
      const bool taken = weight == std::string_view::npos ||
                         piece.find_first_of("123456789", weight) != std::string_view::npos;
      if (named) return taken;
      accepted = taken;
    }
  }
  return accepted;
}

int parse_http_head(std::string_view head, const HttpLimits& limits, HttpRequest& request,
                    HttpFraming& framing) {
  std::string_view line;
  bool is_1_0 = false;
  if (!take_line(head, line)) return 400;
  if (const int status = parse_request_line(line, request, is_1_0)) return status;
  request.headers.clear();
  while (take_line(head, line) && !line.empty()) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return 400;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = without_blanks(line.substr(colon + 1));
    if (!is_token(name) || has_control(value, true)) return 400;
    if (request.headers.size() == limits.headers) return 431;
    request.headers.add(name, value);
  }
  framing = {};
  if (const int status = parse_framing(request, limits, framing)) return status;
  // RFC 9112, 3.2: one, which proxies may have routed it by.
  const auto hosts = request.headers.count("host");
  if (hosts > 1 || (!is_1_0 && hosts == 0)) return 400;
  framing.keep_alive = is_1_0 ? request.headers.has_token("connection", "keep-alive")
                              : !request.headers.has_token("connection", "close");
  const std::string_view expect = request.headers.get("expect");
  if (!expect.empty() && !equal_ignoring_case(expect, "100-continue")) return 417;
  framing.expects_continue = !expect.empty() && !is_1_0;
  framing.is_1_0 = is_1_0;
  return 0;
}

int ChunkDecoder::decode_size(std::string_view line, size_t body_bytes) {
  const std::string_view digits = without_blanks(line.substr(0, line.find(';')));
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return 400;
  if (left_ > limits_->body_bytes - std::min<uint64_t>(body_bytes, limits_->body_bytes)) return 413;
  state_ = left_ == 0 ? State::kTrailer : State::kData;
  return 0;
}

int ChunkDecoder::decode(std::string_view& input, std::string& body) {
  constexpr size_t kLineBytes = 4096;
  std::string_view line;
  while (state_ != State::kDone) {
    if (state_ == State::kData) {
      const size_t taken = std::min<uint64_t>(left_, input.size());
      if (taken == 0) return 0;
      if (!append_bytes(body, input.substr(0, taken))) return 429;
      input.remove_prefix(taken);
      left_ -= taken;
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const size_t before = input.size();
    if (!take_line(input, line)) return input.size() > kLineBytes ? 400 : 0;
    if (state_ == State::kDataEnd) {
      if (!line.empty()) return 400;
      state_ = State::kSize;
    } else if (state_ == State::kSize) {
      if (const int status = decode_size(line, body.size())) return status;
    } else {
      trailer_bytes_ += before - input.size();
      if (trailer_bytes_ > limits_->head_bytes) return 431;
      if (line.empty()) state_ = State::kDone;
    }
  }
  return 0;
}

std::string_view http_reason(int status) {
  constexpr std::pair<int, std::string_view> kReasons[] = {
      {200, "OK"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  for (const auto& [code, reason] : kReasons) {
    if (code == status) return reason;
  }
  return "Unknown";
}

std::string http_response_head(const HttpResponse& response, bool keep_alive) {
  std::string head = cat("HTTP/1.1 ", response.status, " ", http_reason(response.status), "\r\n");
  if (!response.content_type.empty()) {
    head += cat("Content-Type: ", response.content_type, "\r\n");
  }
  for (const auto& [name, value] : response.headers) head += cat(name, ": ", value, "\r\n");
  head += cat("Content-Length: ", response.body.size(), "\r\n");
  if (!keep_alive) {
    head += "Connection: close\r\n";
  } else if (response.is_1_0) {
    head += "Connection: keep-alive\r\n";  // ApacheBench waits for the end of an answer without it
  }
  return head + "\r\n";
}

HttpResponse http_error_page(int status) {
  const std::string_view reason = http_reason(status);
  HttpResponse response;
  response.status = status;
  response.content_type = "text/html";
  response.body = cat("<HTML><HEAD>\n<TITLE>", status, " ", reason, "</TITLE>\n</HEAD><BODY>\n<H1>",
                      reason, "</H1>\n</BODY></HTML>\n");
  return response;
}

}  // namespace tenon::serving
