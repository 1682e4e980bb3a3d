// What this folder uses of tenon/net, under its own names.
#pragma once

#include "tenon/net/http.h"
#include "tenon/net/process.h"
#include "tenon/net/stream.h"

namespace tenon::image {

using net::AtomicFileSink;
using net::ByteSink;
using net::ByteSource;
using net::copy_stream;
using net::FileSource;
using net::read_all;
using net::read_exactly;
using net::SpoolFile;
using net::StringSink;
using net::StringSource;

using net::check_named_url;
using net::download;
using net::HttpRequest;
using net::HttpResponse;
using net::is_loopback;
using net::is_same_origin;
using net::parse_url;
using net::pause_before_retry;
using net::resolve_location;
using net::send_http;
using net::Url;

using net::ProcessResult;
using net::run_process;

}  // namespace tenon::image
